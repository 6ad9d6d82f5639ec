/**
 * Drafts make a request that runs alone faster and do not change its text; the narration has their numbers.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lastOf } from '../../support/listener.ts';
import { all, type StreamEvent, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

const JOBS = [
  {
    job_id: 'greedy',
    prompt: 'the sea '.repeat(20).trim(),
    raw: true,
    temperature: 0,
    min_tokens: 120,
    max_tokens: 120,
  },
  {
    job_id: 'drawn',
    prompt: 'the sea '.repeat(20).trim(),
    raw: true,
    temperature: 0.7,
    seed: 3,
    min_tokens: 80,
    max_tokens: 80,
  },
  { job_id: 'haiku', prompt: 'Write a haiku about the sea, about the sea', seed: 42 },
  {
    job_id: 'penalised',
    prompt: 'moon moon moon moon moon moon',
    raw: true,
    temperature: 1,
    seed: 4,
    repetition_penalty: 1.1,
    top_k: 20,
    logprobs: 2,
    min_tokens: 60,
    max_tokens: 60,
  },
  {
    job_id: 'stopped',
    prompt: 'the sea '.repeat(20).trim(),
    raw: true,
    temperature: 0,
    max_tokens: 100,
    stop: ['.\n'],
  },
];

const explained = (events: readonly StreamEvent[]): Record<string, unknown> =>
  all(events, 'narration').find((told) => told['event'] === 'time.explained') ?? {};
const tokensOf = (events: readonly StreamEvent[]): unknown[] => all(events, 'token').map(({ id, t }) => [id, t]);

describe('a request that runs alone', () => {
  let drafting: TestWorker;
  let plain: TestWorker;
  /** The streams of JOBS, then those of `accepted`. */
  const drafted: StreamEvent[][] = [];
  /** A greedy request with an accepted draft. */
  let accepted: StreamEvent[] = [];
  beforeAll(async () => {
    [drafting, plain] = await Promise.all([startWorker(), startWorker({ args: ['--speculation', 'off'] })]);
    for (const body of JOBS) drafted.push(await drafting.execute(body));
    // The engine drafts only if its measured costs promise a gain: under load that can take some requests.
    accepted = drafted[0] ?? [];
    for (let request = 1; request <= 50 && !explained(accepted)['tokens_accepted']; request += 1) {
      accepted = await drafting.execute({ ...JOBS[0], job_id: `greedy-${request}` });
      drafted.push(accepted);
    }
  });
  afterAll(() => Promise.all([drafting.kill(), plain.kill()]));

  test('reports the tokens drafted and accepted', () => {
    const { tokens_drafted, tokens_accepted, human } = explained(accepted);
    expect(tokens_accepted).toBeGreaterThan(0);
    expect(tokens_drafted).toBeGreaterThanOrEqual(Number(tokens_accepted));
    expect(human).toMatch(new RegExp(`; ${tokens_accepted} of ${tokens_drafted} drafts? kept`));
  });

  test('has the output of plain decoding, which reports no drafts', async () => {
    for (const [index, body] of JOBS.entries()) {
      const events = await plain.execute(body);
      const other = drafted[index] ?? [];
      expect(textOf(other)).toBe(textOf(events));
      expect(tokensOf(other)).toEqual(tokensOf(events));
      expect(lastOf(other)).toMatchObject({
        tokens_out: lastOf(events)['tokens_out'],
        stop_reason: lastOf(events)['stop_reason'],
      });
      expect(explained(events)).not.toHaveProperty('tokens_drafted');
      expect(explained(events)).not.toHaveProperty('tokens_accepted');
      expect(explained(events)['human']).not.toContain('draft');
    }
  });

  test('is counted in the metrics', async () => {
    const counted = async (worker: TestWorker, what: string): Promise<number> =>
      Number(
        new RegExp(`^worker_tokens_${what}_total (\\d+)`, 'm').exec(await (await worker.get('/metrics')).text())?.[1],
      );
    const sum = (field: string): number =>
      drafted.reduce((all, events) => all + Number(explained(events)[field] ?? 0), 0);
    expect(await counted(drafting, 'drafted')).toBe(sum('tokens_drafted'));
    expect(await counted(drafting, 'accepted')).toBe(sum('tokens_accepted'));
    expect([await counted(plain, 'drafted'), await counted(plain, 'accepted')]).toEqual([0, 0]);
  });

  test('and the setting is narrated at the start', async () => {
    expect(await plain.line('warmup.done')).toMatchObject({ speculation: 'off' });
    expect(await plain.line('warmup.done')).not.toHaveProperty('rounding_percent');
    expect(await drafting.line('warmup.done')).toMatchObject({ speculation: 'on' });
  });

  test('a given number of slots and memory of the cache name no free memory', async () => {
    const cache = ['--slots', '3', '--context', '64', '--cache-memory', '2'];
    const worker = await startWorker({ args: [...cache, '--speculation', 'on'] });
    try {
      const reserved = await worker.line('cache.reserved');
      expect(reserved).toMatchObject({ slots: 3, context_length: 64, target: '3 slots' });
      expect(reserved).not.toHaveProperty('available_bytes');
      expect(reserved.human).toContain('set by --slots');
      expect(await worker.line('warmup.done')).toMatchObject({ speculation: 'on' });
    } finally {
      await worker.kill();
    }
  });
});
