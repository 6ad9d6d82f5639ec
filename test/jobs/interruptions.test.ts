/** Jobs that lose their slots and go on: a script replaces the engine, the rest of the generation is real. */
import { beforeAll, describe, expect, test } from 'vitest';
import { EngineLostError } from '../../src/bridge/child.ts';
import type { Step } from '../../src/bridge/sequence-inbox.ts';
import { Generation } from '../../src/jobs/generation/generation.ts';
import type { Job } from '../../src/jobs/job.ts';
import { embeddedModel } from '../../src/model/folder.ts';
import { capture, runIn } from '../../src/narration/narrate.ts';
import type { Note } from '../../src/protocol/messages.ts';
import { RequestTrace } from '../../src/telemetry/traces/request-trace.ts';
import type { FinishedSpan } from '../../src/telemetry/traces/span.ts';
import { Tokenizer } from '../../src/text/tokenizer/tokenizer.ts';
import { fakeJob, finish, idleMetrics, NEUTRAL_SAMPLING } from '../support/fakes.ts';
import { dataOf } from './events.ts';

let tokenizer: Tokenizer;
let ids: number[];
beforeAll(async () => {
  tokenizer = await Tokenizer.open({ tokenizerFile: `${embeddedModel()}/tokenizer.json` });
  ids = await tokenizer.encode('The sea is wide and the moon is far away', { addSpecialTokens: false });
});

const STARTED: Note = { note: 'started', slot: 1, cachedTokens: 2, others: 3, queueMs: 4 };
const step = (report: Partial<Step['report']> = {}, more: Partial<Step> = {}): Step => ({
  batch: 1,
  report: { id: 0, notes: [], tokens: [], ...report },
  ...more,
});
const tokens = (from: number, to?: number) => ({ tokens: ids.slice(from, to).map((id) => ({ id })) });
const resumed = (recomputed: number, lostMs: number): Partial<Step> => ({ resumed: { recomputed, lostMs } });

const traceInto = (spans: FinishedSpan[]): RequestTrace =>
  new RequestTrace({
    context: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 },
    parent: undefined,
    operation: 'chat',
    model: () => 'haiku',
    limits: { attributes: 128, events: 128, eventAttributes: 128, valueChars: 1000 },
    emit: (span) => spans.push(span),
  });

/** Plays the steps of each output, in turns. A step can be an error. */
async function play(outputs: readonly (readonly (Step | Error)[])[], look: (job: Job) => void = () => undefined) {
  const spans: FinishedSpan[] = [];
  const job = fakeJob('interrupted', { trace: traceInto(spans) });
  let next = 0;
  async function* submit(): AsyncGenerator<Step, void, void> {
    for (const one of outputs[next++] ?? []) {
      if (one instanceof Error) throw one;
      yield one;
      look(job);
      await new Promise(setImmediate);
    }
  }
  const sequence = { prompt: [5, 6, 7, 8], maxTokens: 99, minTokens: 0, endIds: [3], sampling: NEUTRAL_SAMPLING };
  const prepared = {
    prompts: [{ sequence, continued: [], decoder: tokenizer }],
    choices: outputs.length,
    stops: [],
    scoresOnly: false,
    tokenizeMs: 0,
  };
  const metrics = idleMetrics();
  const model = { facts: { deviceBytes: 0, slots: outputs.length } };
  const generation = new Generation(job, prepared, model, { engine: { submit }, metrics, progressEvery: 1000 });
  const { narrations } = await capture(() => runIn(job.context, () => generation.run()));
  const told = narrations.map(({ event }) => event);
  return { told, narrations, spans, events: dataOf(job.log.text), metrics: await metrics.render() };
}

const INTERESTING = /^(request\.(interrupted|held|preempted|resumed|requeued|queued)|queue|cache|batch)/;

test('an interrupted request is told once, starts once, and explains its time', async () => {
  const states: string[] = [];
  const { told, narrations, events, metrics } = await play(
    [
      [
        step({ notes: [STARTED] }),
        step(tokens(0, 4)),
        step({}, { interrupted: 'signal SIGKILL' }),
        step({ notes: [{ note: 'queued', position: 1, etaMs: 5 }] }),
        step({ notes: [STARTED] }),
        step(tokens(4), resumed(8, 250)),
        step({ finish: finish('max_tokens') }),
      ],
    ],
    (job) => states.push(job.state),
  );
  expect(told.filter((event) => INTERESTING.test(event))).toEqual([
    'cache.reset',
    'cache.hit',
    'batch.joined',
    'request.interrupted',
    'request.queued',
    'request.resumed',
  ]);
  const factsOf = (name: string) => narrations.find(({ event }) => event === name);
  expect(factsOf('request.interrupted')).toMatchObject({ reason: 'signal SIGKILL', tokens_out: 4 });
  expect(factsOf('request.resumed')).toMatchObject({ tokens_recomputed: 8, interrupted_ms: 250 });
  expect(factsOf('time.explained')).toMatchObject({ interrupted_ms: 250 });
  expect(states).toEqual(['running', 'running', 'waiting', 'waiting', 'running', 'running', 'running']);
  expect(events.at(-1)).toMatchObject({ type: 'end', tokens_out: ids.length });
  for (const name of ['interrupted', 'resumed']) expect(metrics).toContain(`worker_requests_${name}_total 1\n`);
});

test('an undisturbed request explains its time without interruptions', async () => {
  const { narrations } = await play([
    [step({ notes: [STARTED] }), step({ ...tokens(0), finish: finish('max_tokens') })],
  ]);
  expect(narrations.find(({ event }) => event === 'time.explained')).not.toHaveProperty('interrupted_ms');
});

test('a preempted request waits, and goes on', async () => {
  const { told, narrations } = await play([
    [
      step({ notes: [STARTED] }),
      step(tokens(0, 4)),
      step({ notes: [{ note: 'preempted', tokens: 7 }] }),
      step({ notes: [STARTED] }),
      step({ ...tokens(4), finish: finish('max_tokens') }, resumed(6, 30)),
    ],
  ]);
  const interesting = told.filter((event) => /^request\.(preempted|resumed)|cache\.reset/.test(event));
  expect(interesting).toEqual(['cache.reset', 'request.preempted', 'request.resumed']);
  expect(narrations.find(({ event }) => event === 'request.preempted')).toMatchObject({ tokens_dropped: 7 });
});

describe('several outputs', () => {
  const interrupted = step({}, { interrupted: 'signal SIGKILL' });
  const output = (recomputed: number, lostMs: number): Step[] => [
    step({ notes: [STARTED] }),
    step(tokens(0, 2)),
    interrupted,
    step({}, { held: true }),
    step({ notes: [STARTED] }),
    step({ ...tokens(2), finish: finish('max_tokens') }, resumed(recomputed, lostMs)),
  ];

  test('are interrupted as one, and go on as one with the last of them', async () => {
    const { told, narrations } = await play([output(6, 100), output(7, 300), output(8, 200)]);
    const interesting = told.filter((event) => /^request\.(interrupted|held|resumed)/.test(event));
    expect(interesting).toEqual(['request.interrupted', 'request.held', 'request.resumed']);
    const end = narrations.find(({ event }) => event === 'request.resumed');
    expect(end).toMatchObject({ tokens_recomputed: 21, interrupted_ms: 300 });
  });

  test('of which one ends the engine fail together', async () => {
    const error = new EngineLostError('signal SIGSEGV', undefined, 3);
    const { told, narrations, events } = await play([
      [step({ notes: [STARTED] }), interrupted, error],
      [step({ notes: [STARTED] }), interrupted, step({}, { held: true }), step({ finish: finish('cancelled') })],
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'error', code: 'ENGINE_LOST' });
    expect(narrations.find(({ event }) => event === 'request.engine_lost')).toMatchObject({
      engine_losses: 3,
      human: 'Change the request: 3 engines were lost while it ran, the last one with it alone (signal SIGSEGV)',
    });
    expect(told).not.toContain('request.resumed');
  });
});

test('spans: a step that gives tokens and takes the slot gave the tokens first', async () => {
  const PREEMPTED: Note = { note: 'preempted', tokens: 5 };
  const { spans } = await play([
    [
      step({ notes: [STARTED], ...tokens(0, 1) }),
      step({ notes: [PREEMPTED], ...tokens(1, 3) }),
      step({ notes: [STARTED] }),
      step({ notes: [PREEMPTED] }),
      step({ notes: [STARTED, PREEMPTED], ...tokens(3, 4) }),
      step({ notes: [STARTED], ...tokens(4, 5) }),
      step({ finish: finish('max_tokens') }),
    ],
  ]);
  expect(spans.map(({ name, attributes }) => [name, attributes['rbees.tokens_out'] ?? 0])).toEqual([
    ['queue', 0],
    ['prefill', 0],
    ['decode', 3],
    ['interruption', 0],
    ['prefill', 0],
    ['interruption', 0],
    ['prefill', 0],
    ['decode', 1],
    ['interruption', 0],
    ['prefill', 0],
    ['decode', 1],
  ]);
});

test('spans: a running output that is held for the test of others is interrupted, and a waiting one is not', async () => {
  const { spans } = await play([
    [
      step({}, { held: true }),
      step({ notes: [STARTED], ...tokens(0, 3) }),
      step({}, { held: true }),
      step({}, { held: true }),
      step({ notes: [STARTED], ...tokens(3, 5) }),
      step({ finish: finish('max_tokens') }),
    ],
  ]);
  const facts = ['rbees.tokens_out', 'rbees.interruption'];
  expect(spans.map(({ name, attributes }) => [name, ...facts.map((fact) => attributes[fact])])).toEqual([
    ['queue', undefined, undefined],
    ['prefill', undefined, undefined],
    ['decode', 3, undefined],
    ['interruption', undefined, 'held'],
    ['prefill', undefined, undefined],
    ['decode', 2, undefined],
  ]);
});
