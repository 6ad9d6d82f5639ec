/** What no real engine does when asked: its part is played by a script here; the rest of a request's life is the real thing. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Step } from '../../src/bridge/sequence-inbox.ts';
import { readConfig } from '../../src/config/config.ts';
import type { Service } from '../../src/http/service.ts';
import { EventLog } from '../../src/jobs/event-log.ts';
import { Generation } from '../../src/jobs/generation.ts';
import { Job } from '../../src/jobs/job.ts';
import { JobRegistry } from '../../src/jobs/registry.ts';
import type { StopReason } from '../../src/jobs/stop-outcome.ts';
import type { LoadedModel } from '../../src/lifecycle/load-model.ts';
import { WorkerState } from '../../src/lifecycle/state.ts';
import { embeddedModel } from '../../src/model/folder.ts';
import { capture, type Narration, runIn } from '../../src/narration/narrate.ts';
import type { Finish, SequenceReport } from '../../src/protocol/messages.ts';
import { NEUTRAL } from '../../src/protocol/sampling.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { Tokenizer } from '../../src/text/tokenizer/tokenizer.ts';

const timings = { queueMs: 0, prefillMs: 1, decodeMs: 2 };
const over = (reason: 'max_tokens' | 'eos' | 'cancelled'): Finish => ({
  reason,
  cachedTokens: 0,
  drafted: 0,
  accepted: 0,
  timings,
});
const broken = (reason: 'failed' | 'out_of_memory', message: string): Finish => ({
  reason,
  message,
  cachedTokens: 0,
  drafted: 0,
  accepted: 0,
  timings,
});

let model: LoadedModel;
let ids: number[];
beforeAll(async () => {
  const folder = embeddedModel();
  const tokenizer = await Tokenizer.open({
    tokenizerFile: `${folder}/tokenizer.json`,
    tokenizerConfigFile: `${folder}/tokenizer_config.json`,
  });
  ids = await tokenizer.encode('The sea is wide and the moon is far away', { addSpecialTokens: false });
  // Of the model only what a generation asks it for.
  model = { tokenizer, facts: { deviceBytes: 0 } } as unknown as LoadedModel;
});

const zero = (): number => 0;
const metrics = new Metrics({
  running: zero,
  waiting: zero,
  cacheUsage: zero,
  vramBytes: zero,
  logBytes: zero,
  uptimeSeconds: zero,
});

/** Runs a generation against an engine that sends these reports, each after what `before` does. */
async function play(
  reports: readonly Partial<SequenceReport>[],
  before: (step: number, job: Job) => void = () => undefined,
  stops: readonly string[] = [],
  promptTokens = 1,
): Promise<{ events: Record<string, unknown>[]; narrations: readonly Narration[] }> {
  const stream = new EventLog('req-forced');
  const story = {
    correlationId: 'req-forced',
    jobId: 'forced',
    onNarration: (told: Narration) => stream.emit('narration', told),
  };
  const job = new Job(story, stream, { onDisconnect: 'cancel', detachMs: 1000, slowMs: 1000, logBytes: 1e6 });
  async function* submit(): AsyncGenerator<Step, void, void> {
    for (const [index, report] of reports.entries()) {
      before(index, job);
      yield { batch: 1, report: { id: 0, notes: [], tokens: [], ...report } };
    }
  }
  const service: Service = {
    config: readConfig([], {}, 'no-such-file'),
    version: '0.0.0',
    state: new WorkerState(),
    jobs: new JobRegistry({ ttlMs: 1000, bytes: 1e6 }),
    engine: { submit, occupancy: { busy: 0, waiting: 0, tokens: 0 }, slotFreeMs: undefined, heartbeatAgeMs: undefined },
    metrics,
    model: () => model,
    shutdown: () => undefined,
  };
  const sequence = {
    prompt: new Array<number>(promptTokens).fill(0),
    maxTokens: ids.length,
    minTokens: 0,
    endIds: [3],
    sampling: { ...NEUTRAL, seed: 1 },
  };
  const generation = new Generation(job, { sequence, stops, tokenizeMs: 0 }, model, service);
  const { narrations } = await capture(() => runIn(story, () => generation.run()));
  const { text } = stream;
  const events = [...text.matchAll(/^data: (.*)$/gm)].map(
    ([, json]) => JSON.parse(json ?? '') as Record<string, unknown>,
  );
  return { events, narrations };
}

const textOf = (events: readonly Record<string, unknown>[]): string => events.map((event) => event['t'] ?? '').join('');
const tokens = (from: number, to?: number): { id: number }[] => ids.slice(from, to).map((id) => ({ id }));

describe('a stop that comes while the last report is on its way', () => {
  test.each<StopReason>(['cancelled', 'timeout', 'draining', 'reader_left'])(
    '%s: what claims to be whole is whole',
    async (why) => {
      const reports = [{ tokens: tokens(0, 3) }, { tokens: tokens(3), finish: over('max_tokens') }];
      const { events } = await play(reports, (step, job) => step === 1 && job.stop(why));
      const last = events.at(-1);
      if (last?.['type'] !== 'end') expect(last?.['type']).toBe('error');
      else {
        expect(last['tokens_out']).toBe(ids.length);
        expect(textOf(events)).toBe(model.tokenizer.decode(ids));
      }
      expect(events.filter((event) => ['end', 'error'].includes(String(event['type'])))).toHaveLength(1);
    },
  );

  test('a stop string that was complete before the cancel ends the output as one', async () => {
    const reports = [{ tokens: tokens(0) }, { finish: over('cancelled') }];
    const { events } = await play(reports, (step, job) => step === 1 && job.stop('cancelled'), ['moon']);
    expect(events.at(-1)).toMatchObject({ type: 'end', stop_reason: 'stop_sequence', stop_sequence_matched: 'moon' });
    expect(textOf(events)).toBe('The sea is wide and the ');
  });

  test('a stop string in the very last token is a stop string', async () => {
    const reports = [{ tokens: tokens(0), finish: over('max_tokens') }];
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
  ] as const)('%s ends the stream with %s and tells no path to the caller', async (reason, code, kind) => {
    const { events, narrations } = await play([
      { tokens: tokens(0, 4) },
      { finish: broken(reason, `cannot open ${PATH}`) },
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'error', code, retriable: true, correlation_id: 'req-forced' });
    expect(events.at(-2)).toMatchObject({ event: 'inference.failed', error_kind: kind, tokens_out: 4, level: 'ERROR' });
    expect(JSON.stringify(events)).not.toContain(PATH);
    expect(JSON.stringify(narrations)).toContain(PATH);
  });

  test('with a report that cannot be, ends the stream and blames the worker', async () => {
    const { events, narrations } = await play([{ tokens: null as unknown as [] }]);
    expect(events.at(-1)).toMatchObject({ type: 'error', code: 'INFERENCE_FAILED' });
    expect(narrations.map((told) => told.event)).toContain('worker.fault');
    expect(JSON.stringify(events)).not.toContain('TypeError');
  });
});

test('half a character at the end is given as what decoding makes of it', async () => {
  const bytes = await model.tokenizer.encode('\u{1F41D}', { addSpecialTokens: false });
  expect(bytes.length).toBeGreaterThan(1);
  const half = [...ids.slice(0, 2), ...bytes.slice(0, -1)].map((id) => ({ id }));
  const { events } = await play([{ tokens: half, finish: over('max_tokens') }]);
  expect(textOf(events)).toBe(model.tokenizer.decode(half.map(({ id }) => id)));
  expect(textOf(events).isWellFormed()).toBe(true);
  expect(events.at(-1)).toMatchObject({ type: 'end', tokens_out: half.length });
});

describe('notes of an engine that has more to read than the embedded model could', () => {
  const notes = (...told: SequenceReport['notes']): Partial<SequenceReport>[] => [
    { notes: told },
    { tokens: tokens(0), finish: over('max_tokens') },
  ];
  const factsOf = (narrations: readonly Narration[], event: string): object | undefined =>
    narrations.find((told) => told.event === event);

  test('a prompt of several chunks is told as it is read, with what remains as the engine expects it', async () => {
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
    // The last two tokens are computed anew, even if the slot holds them.
    [1998, 1999],
    [1998, undefined],
  ])('%i of 2000 tokens kept: the place where they differ is %s', async (cachedTokens, place) => {
    const at = place === undefined ? {} : { divergedAt: place };
    const started = { note: 'started', slot: 0, cachedTokens, ...at, others: 0, queueMs: 0 } as const;
    const { narrations } = await play(notes(started), undefined, [], 2000);
    const hit = factsOf(narrations, 'cache.hit');
    expect(hit).toMatchObject({ cached_tokens: cachedTokens, tokens_in: 2000 });
    expect((hit as Narration)['diverged_at']).toBe(place);
  });
});
