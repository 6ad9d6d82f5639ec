/** A job with several outputs: a script replaces the engine, the rest of the generation is real. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Submission } from '../../src/bridge/client.ts';
import type { Backpressure, Step } from '../../src/bridge/sequence-inbox.ts';
import { Generation } from '../../src/jobs/generation/generation.ts';
import { SharedBackpressure } from '../../src/jobs/generation/shared-backpressure.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { JobEvent } from '../../src/jobs/job-events.ts';
import { embeddedModel } from '../../src/model/folder.ts';
import { capture, runIn } from '../../src/narration/narrate.ts';
import type { Finish } from '../../src/protocol/messages.ts';
import { Tokenizer } from '../../src/text/tokenizer/tokenizer.ts';
import { failure, fakeJob, finish, idleMetrics, NEUTRAL_SAMPLING } from '../support/fakes.ts';

let tokenizer: Tokenizer;
let ids: number[];
beforeAll(async () => {
  tokenizer = await Tokenizer.open({ tokenizerFile: `${embeddedModel()}/tokenizer.json` });
  ids = await tokenizer.encode('The sea is wide and the moon is far away', { addSpecialTokens: false });
});

/** What the engine does with the sequence `index`, in the order of submission. */
type Script = (index: number, signal: AbortSignal, job: Job) => Finish | Promise<Finish>;

const untilAborted = (signal: AbortSignal): Promise<Finish> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(finish('cancelled'));
    signal.addEventListener('abort', () => resolve(finish('cancelled')), { once: true });
  });

async function play(
  script: Script,
  { choices = 3, slots = 2, stops = [] as string[], prompts = 1, tooLong = '' } = {},
) {
  const events: JobEvent[] = [];
  const encode = (event: JobEvent): string => {
    if (event.type === tooLong) throw new RangeError('Invalid string length');
    return `${events.push(event)}`;
  };
  const job = fakeJob('several', { encoder: { encode } });
  const submitted: { submission: Submission; backpressure: Backpressure | undefined }[] = [];
  let running = 0;
  let most = 0;
  async function* submit(
    submission: Submission,
    signal: AbortSignal,
    backpressure?: Backpressure,
  ): AsyncGenerator<Step, void, void> {
    const index = submitted.push({ submission, backpressure }) - 1;
    running += 1;
    most = Math.max(most, running);
    const step = (report: Partial<Step['report']>): Step => ({
      batch: 1,
      report: { id: index, notes: [], tokens: [], ...report },
    });
    yield step({ tokens: ids.map((id) => ({ id })) });
    await new Promise(setImmediate);
    const end = await script(index, signal, job);
    running -= 1;
    yield step({ finish: end });
  }
  const sequence = {
    prompt: [5, 6],
    maxTokens: 99,
    minTokens: 0,
    endIds: [3],
    sampling: { ...NEUTRAL_SAMPLING, seed: 7 },
  };
  const one = { sequence, continued: [], decoder: tokenizer };
  const prepared = {
    prompts: Array.from({ length: prompts }, () => ({ ...one })),
    choices,
    stops,
    scoresOnly: false,
    tokenizeMs: 0,
  };
  const model = { facts: { deviceBytes: 0, slots } };
  const parts = { engine: { submit }, metrics: idleMetrics(), progressEvery: 1000 };
  const { narrations } = await capture(() =>
    runIn(job.context, () => new Generation(job, prepared, model, parts).run()),
  );
  const textOf = (choice: number): string =>
    events.map((event) => (event.type === 'token' && event.choice === choice ? event.t : '')).join('');
  return { events, job, submitted, most, narrations, textOf };
}

const ends = (events: readonly JobEvent[]) => events.filter(({ type }) => type === 'choice_end');

describe('outputs of one prompt', () => {
  test('each have their text and their end; the job ends once, with the sums', async () => {
    const { events, textOf } = await play(() => finish('eos'));
    for (const choice of [0, 1, 2]) expect(textOf(choice)).toBe(tokenizer.decode(ids));
    expect(ends(events).map((event) => 'choice' in event && event.choice)).toEqual([0, 1, 2]);
    expect(events.at(-1)).toMatchObject({ type: 'end', tokens_in: 2, tokens_out: 3 * ids.length, stop_reason: 'eos' });
  });

  test('share one prefill, and have consecutive seeds', async () => {
    const { submitted } = await play(() => finish('eos'));
    expect(submitted.map(({ submission }) => submission.sampling.seed)).toEqual([7, 8, 9]);
    const [group] = submitted.map(({ submission }) => submission.group);
    expect(group).toBeDefined();
    expect(submitted.every(({ submission }) => submission.group === group)).toBe(true);
  });

  test('run at most as many at a time as there are slots', async () => {
    expect((await play(() => finish('eos'), { choices: 7, slots: 3 })).most).toBe(3);
  });

  test('of several prompts have an index each, and a group for each prompt', async () => {
    const { events, submitted } = await play(() => finish('eos'), { choices: 2, prompts: 2, slots: 4 });
    expect(ends(events).map((event) => 'choice' in event && event.choice)).toEqual([0, 1, 2, 3]);
    expect(new Set(submitted.map(({ submission }) => submission.group)).size).toBe(2);
    expect(events.filter(({ type }) => type === 'prompt')).toHaveLength(2);
    expect(events.at(-1)).toMatchObject({ type: 'end', tokens_in: 4 });
  });
});

describe('the end of one output', () => {
  test('at a stop string cancels only its sequence', async () => {
    const { events, textOf, job } = await play((_, signal) => untilAborted(signal), { stops: ['moon'] });
    for (const choice of [0, 1, 2]) expect(textOf(choice)).toBe('The sea is wide and the ');
    expect(ends(events)).toHaveLength(3);
    expect(ends(events)).toEqual(ends(events).map((event) => ({ ...event, reason: 'stop_sequence', matched: 'moon' })));
    expect([job.stopped, events.at(-1)?.type]).toEqual([undefined, 'end']);
  });

  test('by a failure of the runtime fails the job, and cancels the others', async () => {
    const failed = failure('failed', 'no memory');
    const script: Script = (index, signal) => (index === 0 ? failed : untilAborted(signal));
    const { events, submitted, narrations } = await play(script);
    expect(events.at(-1)).toMatchObject({ type: 'error', code: 'INFERENCE_FAILED' });
    expect(events.filter(({ type }) => type === 'error' || type === 'end')).toHaveLength(1);
    expect(submitted).toHaveLength(2); // The third was never submitted.
    expect(narrations.filter(({ event }) => event === 'inference.failed')).toHaveLength(1);
  });

  test('by a cancel of the job ends all of them, with one error', async () => {
    const { events, submitted } = await play((index, signal, job) => {
      if (index === 1) job.stop('cancelled');
      return untilAborted(signal);
    });
    expect(events.at(-1)).toMatchObject({ type: 'error', code: 'CANCELLED' });
    expect([ends(events), submitted.length]).toEqual([[], 2]);
  });
});

test('a deadline after the end of some outputs ends the job with one error, and submits no more', async () => {
  const { events, submitted } = await play(
    (index, signal, job) => {
      if (index === 0) return finish('eos');
      if (index === 2) job.stop('timeout');
      return untilAborted(signal);
    },
    { choices: 8 },
  );
  expect(ends(events).map((event) => 'choice' in event && event.choice)).toEqual([0]);
  expect(events.at(-1)).toMatchObject({ type: 'error', code: 'TIMEOUT' });
  expect(submitted).toHaveLength(3);
});

describe('a pause of the job', () => {
  const source = () => {
    let listener: (paused: boolean) => void = () => undefined;
    const onChange = (changed: typeof listener): void => {
      listener = changed;
    };
    const backpressure: Backpressure = { paused: true, onChange };
    return { shared: new SharedBackpressure(backpressure), pause: (paused: boolean) => listener(paused) };
  };

  test('reaches every sequence that has not ended', () => {
    const { shared, pause } = source();
    const heard: string[] = [];
    const [one, two] = [shared.join(), shared.join()];
    one.onChange((paused) => heard.push(`one ${paused}`));
    two.onChange((paused) => heard.push(`two ${paused}`));
    expect([one.paused, two.paused]).toEqual([true, true]);
    pause(false);
    one.leave();
    pause(true);
    expect(heard).toEqual(['one false', 'two false', 'two true']);
  });

  test('reaches the last listener of a sequence only', () => {
    const { shared, pause } = source();
    const heard: string[] = [];
    const one = shared.join();
    one.onChange(() => heard.push('first'));
    one.onChange(() => heard.push('second'));
    pause(true);
    expect(heard).toEqual(['second']);
  });
});

test.each(['prompt', 'token', 'end'])(
  'an answer whose %s the encoder cannot write ends with an error',
  async (tooLong) => {
    const { events, job, submitted } = await play(
      (_, signal) => (tooLong === 'end' ? finish('eos') : untilAborted(signal)),
      {
        tooLong,
      },
    );
    expect(submitted).toHaveLength({ prompt: 0, token: 2, end: 3 }[tooLong] ?? Number.NaN);
    expect(events.filter(({ type }) => type === 'error' || type === 'end')).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ type: 'error', code: 'INFERENCE_FAILED' });
    expect(job.progress.end).toMatchObject({ errorCode: 'INFERENCE_FAILED' });
  },
);
