/** The figures of a job in the metrics, for every way in which it can end. A script replaces the engine. */
import { beforeAll, expect, test } from 'vitest';
import type { Step } from '../../../src/bridge/sequence-inbox.ts';
import { Generation } from '../../../src/jobs/generation/generation.ts';
import type { Job } from '../../../src/jobs/job.ts';
import type { StopReason } from '../../../src/jobs/stop-outcome.ts';
import { capture, runIn } from '../../../src/narration/narrate.ts';
import type { Note, SequenceReport } from '../../../src/protocol/messages.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { ProcessFigures } from '../../../src/telemetry/process-figures.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { failure, fakeJob, finish, NEUTRAL_SAMPLING, NO_GAUGES } from '../../support/fakes.ts';
import { Scrape } from '../../support/scrape.ts';
import { haikuFiles } from '../../text/tokenizer/small-tokenizers.ts';

let decoder: Tokenizer;
let ids: number[];
beforeAll(async () => {
  decoder = await Tokenizer.open(haikuFiles);
  ids = await decoder.encode('The sea is wide and the moon is far away', { addSpecialTokens: false });
});

const PROMPT = [5, 6, 7, 8];
const started = (cachedTokens: number, queueMs = 12): Note => ({
  note: 'started',
  slot: 0,
  cachedTokens,
  others: 0,
  queueMs,
});
const tokens = (from: number, to: number) => ids.slice(from, to).map((id) => ({ id }));

interface Script {
  /** The reports of each output. */
  readonly outputs: readonly (readonly Partial<SequenceReport>[])[];
  readonly choices?: number;
  /** Called before the last report of each output. */
  readonly atLast?: (job: Job) => void;
}

/** The metrics after a job whose engine sends the reports of a script. */
async function metricsAfter({ outputs, choices = 1, atLast }: Script): Promise<Scrape> {
  const metrics = new Metrics(NO_GAUGES, new ProcessFigures(), () => 'haiku');
  const job = fakeJob('figures');
  let submitted = 0;
  async function* submit(): AsyncGenerator<Step, void, void> {
    const reports = outputs[submitted] ?? [];
    submitted += 1;
    for (const [index, report] of reports.entries()) {
      if (index === reports.length - 1) atLast?.(job);
      yield { batch: 1, report: { id: 0, notes: [], tokens: [], ...report } };
    }
  }
  const sequence = { prompt: PROMPT, maxTokens: 99, minTokens: 0, endIds: [3], sampling: NEUTRAL_SAMPLING };
  const prepared = {
    prompts: [{ sequence, continued: [], decoder }],
    choices,
    stops: [],
    scoresOnly: false,
    tokenizeMs: 0,
  };
  const model = { facts: { deviceBytes: 0, slots: 4 } };
  const generation = new Generation(job, prepared, model, { engine: { submit }, metrics, progressEvery: 1000 });
  await capture(() => runIn(job.context, () => generation.run()));
  return new Scrape(await metrics.render());
}

/** Tokens of prompts: of finished requests, looked up in the cache, found there. */
const cacheOf = (scrape: Scrape): number[] =>
  ['prompt_tokens', 'prefix_cache_queries', 'prefix_cache_hits'].map((name) => scrape.value(`vllm:${name}_total`));
const queueOf = (scrape: Scrape): number[] => {
  const { count, sum } = scrape.histogram('worker_queue_wait_ms');
  return [count, sum];
};

test('a complete job: the cached tokens of its prompt, and its wait', async () => {
  const reports = [{ notes: [started(2)] }, { tokens: tokens(0, 3), finish: { ...finish('eos'), cachedTokens: 2 } }];
  const scrape = await metricsAfter({ outputs: [reports] });
  expect(cacheOf(scrape)).toEqual([4, 4, 2]);
  expect(queueOf(scrape)).toEqual([1, 12]);
});

test.each<StopReason>(['cancelled', 'timeout', 'draining'])(
  'a job that ends early (%s) counts its cached tokens too',
  async (why) => {
    const reports = [{ notes: [started(2)] }, { tokens: tokens(0, 1) }, { finish: finish('cancelled') }];
    const scrape = await metricsAfter({ outputs: [reports], atLast: (job) => job.stop(why) });
    expect(cacheOf(scrape)).toEqual([4, 4, 2]);
    expect(queueOf(scrape)).toEqual([1, 12]);
  },
);

test('a job whose engine fails counts its cached tokens too', async () => {
  const reports = [{ notes: [started(2)] }, { finish: failure('failed', 'out of order') }];
  expect(cacheOf(await metricsAfter({ outputs: [reports] }))).toEqual([4, 4, 2]);
});

test('a job that is cancelled in the queue has looked up nothing, and its wait is no time until a slot', async () => {
  const reports = [{ notes: [{ note: 'queued', position: 1, etaMs: 5 } as const] }, { finish: finish('cancelled') }];
  const scrape = await metricsAfter({ outputs: [reports], atLast: (job) => job.stop('cancelled') });
  expect(cacheOf(scrape)).toEqual([4, 0, 0]);
  expect(queueOf(scrape)).toEqual([0, 0]);
});

test('a prompt with several outputs is looked up once', async () => {
  const output = (cachedTokens: number) => [
    { notes: [started(cachedTokens)] },
    { tokens: tokens(0, 1), finish: { ...finish('eos'), cachedTokens } },
  ];
  expect(cacheOf(await metricsAfter({ outputs: [output(2), output(4)], choices: 2 }))).toEqual([4, 4, 2]);
});

test('an output that lost its slot is looked up once, with the cached tokens of its first slot', async () => {
  const reports = [
    { notes: [started(2)] },
    { tokens: tokens(0, 1), notes: [{ note: 'preempted', tokens: 5 } as const] },
    { notes: [started(0, 40)] },
    { tokens: tokens(1, 2), finish: { ...finish('eos'), cachedTokens: 2 } },
  ];
  const scrape = await metricsAfter({ outputs: [reports] });
  expect(cacheOf(scrape)).toEqual([4, 4, 2]);
  expect(queueOf(scrape)).toEqual([1, 12]);
});

test('the tokens of one step have one time between steps', async () => {
  const reports = [
    { notes: [started(0)], tokens: tokens(0, 1) },
    { tokens: tokens(1, 4) },
    { tokens: tokens(4, 5), finish: finish('eos') },
  ];
  const scrape = await metricsAfter({ outputs: [reports] });
  expect(scrape.histogram('worker_inter_token_latency_seconds').count).toBe(2);
  expect(scrape.value('worker_tokens_generated_total')).toBe(5);
});
