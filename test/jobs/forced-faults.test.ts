/**
 * Faults that a real engine cannot produce on demand: a script replaces the engine, the rest of the
 * generation is real.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Step } from '../../src/bridge/sequence-inbox.ts';
import { Generation, type GenerationModel } from '../../src/jobs/generation/generation.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { StopReason } from '../../src/jobs/stop-outcome.ts';
import { embeddedModel } from '../../src/model/folder.ts';
import { capture, type Narration, runIn } from '../../src/narration/narrate.ts';
import type { SequenceReport } from '../../src/protocol/messages.ts';
import { Tokenizer } from '../../src/text/tokenizer/tokenizer.ts';
import { failure, fakeJob, finish, idleMetrics, NEUTRAL_SAMPLING } from '../support/fakes.ts';
import { dataOf } from './events.ts';

const model: GenerationModel = { facts: { deviceBytes: 0, slots: 1 } };
let tokenizer: Tokenizer;
let ids: number[];
beforeAll(async () => {
  const folder = embeddedModel();
  tokenizer = await Tokenizer.open({
    tokenizerFile: `${folder}/tokenizer.json`,
  });
  ids = await tokenizer.encode('The sea is wide and the moon is far away', { addSpecialTokens: false });
});

/** Runs a generation with an engine that sends these reports, each after a call of `before`. */
async function play(
  reports: readonly Partial<SequenceReport>[],
  before: (step: number, job: Job) => void = () => undefined,
  stops: readonly string[] = [],
  promptTokens = 1,
): Promise<{ events: Record<string, unknown>[]; narrations: readonly Narration[] }> {
  const job = fakeJob('req-forced');
  async function* submit(): AsyncGenerator<Step, void, void> {
    for (const [index, report] of reports.entries()) {
      before(index, job);
      yield { batch: 1, report: { id: 0, notes: [], tokens: [], ...report } };
    }
  }
  const sequence = {
    prompt: new Array<number>(promptTokens).fill(0),
    maxTokens: ids.length,
    minTokens: 0,
    endIds: [3],
    sampling: NEUTRAL_SAMPLING,
  };
  const prompts = [{ sequence, continued: [], decoder: tokenizer }];
  const prepared = { prompts, choices: 1, stops, scoresOnly: false, tokenizeMs: 0 };
  const parts = { engine: { submit }, metrics: idleMetrics(), progressEvery: 10 };
  const generation = new Generation(job, prepared, model, parts);
  const { narrations } = await capture(() => runIn(job.context, () => generation.run()));
  return { events: dataOf(job.log.text), narrations };
}

const textOf = (events: readonly Record<string, unknown>[]): string => events.map((event) => event['t'] ?? '').join('');
const tokens = (from: number, to?: number): { id: number }[] => ids.slice(from, to).map((id) => ({ id }));

describe('a stop while the last report is on its way', () => {
  test.each<StopReason>(['cancelled', 'timeout', 'draining', 'reader_left'])(
    '%s: an output that ends with `end` is complete',
    async (why) => {
      const reports = [{ tokens: tokens(0, 3) }, { tokens: tokens(3), finish: finish('max_tokens') }];
      const { events } = await play(reports, (step, job) => step === 1 && job.stop(why));
      const last = events.at(-1);
      if (last?.['type'] !== 'end') expect(last?.['type']).toBe('error');
      else {
        expect(last['tokens_out']).toBe(ids.length);
        expect(textOf(events)).toBe(tokenizer.decode(ids));
      }
      expect(events.filter((event) => ['end', 'error'].includes(String(event['type'])))).toHaveLength(1);
    },
  );

  test('a stop string that was complete before the cancel ends the output as a stop string', async () => {
    const reports = [{ tokens: tokens(0) }, { finish: finish('cancelled') }];
    const { events } = await play(reports, (step, job) => step === 1 && job.stop('cancelled'), ['moon']);
    expect(events.at(-1)).toMatchObject({ type: 'end', stop_reason: 'stop_sequence', stop_sequence_matched: 'moon' });
    expect(textOf(events)).toBe('The sea is wide and the ');
  });

  test('a stop string in the last token ends the output as a stop string', async () => {
    const reports = [{ tokens: tokens(0), finish: finish('max_tokens') }];
    const { events } = await play(reports, undefined, ['away']);
    expect(events.at(-1)).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence_matched: 'away' });
    expect(textOf(events)).toBe('The sea is wide and the moon is far ');
  });
});

describe('an engine that fails', () => {
  const PATH = '/srv/models/secret/model.onnx';

  test.each([
    ['failed', 'INFERENCE_FAILED', 'inference_failed'],
    ['out_of_memory', 'VRAM_OOM', 'vram_oom'],
  ] as const)('%s ends the stream with %s and reports no path to the caller', async (reason, code, kind) => {
    const { events, narrations } = await play([
      { tokens: tokens(0, 4) },
      { finish: failure(reason, `cannot open ${PATH}`) },
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'error', code, retriable: true, correlation_id: 'req-forced' });
    expect(events.at(-2)).toMatchObject({ event: 'inference.failed', error_kind: kind, tokens_out: 4, level: 'ERROR' });
    expect(JSON.stringify(events)).not.toContain(PATH);
    expect(JSON.stringify(narrations)).toContain(PATH);
  });

  test('with a malformed report ends the stream and narrates a fault of the worker', async () => {
    const { events, narrations } = await play([{ tokens: null as unknown as [] }]);
    expect(events.at(-1)).toMatchObject({ type: 'error', code: 'INFERENCE_FAILED' });
    expect(narrations.map(({ event }) => event)).toContain('worker.fault');
    expect(JSON.stringify(events)).not.toContain('TypeError');
  });
});

test('an incomplete character at the end becomes the text that the tokenizer decodes', async () => {
  const bytes = await tokenizer.encode('\u{1F41D}', { addSpecialTokens: false });
  expect(bytes.length).toBeGreaterThan(1);
  const half = [...ids.slice(0, 2), ...bytes.slice(0, -1)].map((id) => ({ id }));
  const { events } = await play([{ tokens: half, finish: finish('max_tokens') }]);
  expect(textOf(events)).toBe(tokenizer.decode(half.map(({ id }) => id)));
  expect(textOf(events).isWellFormed()).toBe(true);
  expect(events.at(-1)).toMatchObject({ type: 'end', tokens_out: half.length });
});

describe('notes of an engine with a longer prompt than the embedded model allows', () => {
  const notes = (...list: SequenceReport['notes']): Partial<SequenceReport>[] => [
    { notes: list },
    { tokens: tokens(0), finish: finish('max_tokens') },
  ];
  const factsOf = (narrations: readonly Narration[], event: string): object | undefined =>
    narrations.find((narration) => narration.event === event);

  test('the progress of a prompt in several chunks is narrated, with the remaining time of the engine', async () => {
    const reading = { note: 'prefill', done: 512, total: 2000, elapsedMs: 900, etaMs: 2615.625 } as const;
    const { narrations } = await play(notes(reading), undefined, [], 2000);
    expect(factsOf(narrations, 'prefill.progress')).toMatchObject({
      tokens_done: 512,
      tokens_total: 2000,
      prefill_ms: 900,
      eta_ms: 2615.625,
      human: 'Engine read 512 of 2000 prompt tokens; the rest takes about 2.6 s',
    });
  });

  test.each([
    [57, 57],
    [57, undefined],
    // The last two tokens are always computed again, even if the cache of the slot contains them.
    [1998, 1999],
    [1998, undefined],
  ])('%i of 2000 tokens cached: they differ at %s', async (cachedTokens, divergedAt) => {
    const at = divergedAt === undefined ? {} : { divergedAt };
    const started = { note: 'started', slot: 0, cachedTokens, ...at, others: 0, queueMs: 0 } as const;
    const { narrations } = await play(notes(started), undefined, [], 2000);
    const hit = factsOf(narrations, 'cache.hit');
    expect(hit).toMatchObject({ cached_tokens: cachedTokens, tokens_in: 2000 });
    expect((hit as Narration)['diverged_at']).toBe(divergedAt);
  });
});
