/**
 * "Why was this slow?" is answered from the stream alone: each cause is provoked in a real worker until the
 * stream of the slow request tells it. The model has a script of 100 000 tokens, and a token takes time, so that
 * a request decodes as long as a test needs.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, getPriority, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canBeNarrow, postNarrow } from '../../../bench/narrow-socket.mjs';
import { Listener } from '../../support/listener.ts';
import { events, read } from '../../support/narrow.ts';
import { enginesOf, kill, track } from '../../support/processes.ts';
import { scriptedModel } from '../../support/scripted-model/model.ts';
import { type StreamEvent, startWorker, type TestWorker } from '../../support/worker.ts';

const SLOTS = 16;
const folder = mkdtempSync(join(tmpdir(), 'why-slow-'));
let worker: TestWorker;
beforeAll(async () => {
  const plain = 'The sea is wide. '.repeat(6000);
  await scriptedModel(folder, { plain, context: 120_000, work: 512 });
  worker = await startWorker({ args: ['--model', folder, '--slots', `${SLOTS}`, '--max-tokens-cap', '110000'] });
});
afterAll(async () => {
  await worker.kill();
  rmSync(folder, { recursive: true });
});

const body = (content: string, more: object = {}): object => ({
  job_id: randomUUID(),
  messages: [{ role: 'user', content }],
  max_tokens: 100_000,
  ...more,
});

/** A request that has decoded for a second. */
async function decoding(): Promise<Listener> {
  const stream = await Listener.open(worker, body('Hello'));
  await stream.until(({ data }) => data.type === 'metrics' && Number(data['tokens_out']) > 100);
  const { at } = await stream.untilToken();
  await stream.until((event) => event.data.type === 'token' && event.at > at + 1000);
  return stream;
}

const isSlow =
  (cause: string) =>
  ({ data }: StreamEvent): boolean =>
    data['event'] === 'generation.slowed' && data['cause'] === cause;

/** The facts of a slow phase that every cause has. */
function expectSlow(data: Readonly<Record<string, unknown>>): void {
  expect(Number(data['tokens_per_sec'])).toBeLessThan(Number(data['tokens_per_sec_best']) / 2);
  expect(Number(data['window_ms'])).toBeGreaterThanOrEqual(2000);
  expect(data['cause_percent']).toBeGreaterThan(0);
  expect(data['human']).toMatch(/^Speed fell from \d+(\.\d)? to \d+(\.\d)? tokens\/s: /);
}

describe('others that decode in the same steps', () => {
  test('are told when they join and when they leave, and as the cause of a slow phase', async () => {
    const stream = await decoding();
    const others = await Promise.all(
      Array.from({ length: SLOTS - 1 }, () => Listener.open(worker, body('Hello', { max_tokens: 100_000 }))),
    );
    const grew = await stream.untilNarrated('batch.grew');
    expect(grew.data).toMatchObject({ other_sequences_before: 0 });
    expect(grew.data['human']).toMatch(/^\d+ others? joined the batch \(\d+ now\): \d+ → \d+(\.\d)? tokens\/s$/);
    expect(grew.data['batch_size']).toBe(1 + Number(grew.data['other_sequences']));
    expect(Number(grew.data['tokens_per_sec_before'])).toBeGreaterThan(Number(grew.data['tokens_per_sec']));
    const slowed = await stream.until(isSlow('neighbours'));
    expectSlow(slowed.data);
    expect(slowed.data['other_sequences']).toBeGreaterThan(1);
    for (const other of others) other.leave();
    const shrank = await stream.until(({ data }) => data['event'] === 'batch.shrank' && data['other_sequences'] === 0);
    expect(Number(shrank.data['other_sequences_before'])).toBeGreaterThan(0);
    expect(Number(shrank.data['tokens_per_sec'])).toBeGreaterThan(Number(shrank.data['tokens_per_sec_before']));
    stream.leave();
  });
});

describe('prompts of others', () => {
  test('are told as the cause while the engine computes them in the same steps', async () => {
    const stream = await decoding();
    const told = stream.until(isSlow('long_prompt'));
    let done = false;
    void told.finally(() => {
      done = true;
    });
    const sending = Array.from({ length: 6 }, async () => {
      while (!done) await worker.execute(body(`${randomUUID()} ${'word '.repeat(70)}`, { max_tokens: 1 }));
    });
    const { data } = await told;
    expectSlow(data);
    expect(data['prompt_tokens_beside']).toBeGreaterThan(400);
    expect(data['human']).toContain(`${data['prompt_tokens_beside']} prompt tokens of others`);
    stream.leave();
    await Promise.all(sending);
  });
});

describe('a busy machine', () => {
  test.runIf(existsSync('/proc/pressure/cpu'))('is told as the cause while other processes use it', async () => {
    const stream = await decoding();
    const [engine = -1] = enginesOf(worker.process.pid ?? -1);
    const busy = Array.from({ length: 8 * availableParallelism() }, () =>
      track(spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' })),
    );
    // The engine competes with them; other tests, which have a higher priority than an engine, hardly notice them.
    for (const { pid } of busy) if (pid !== undefined) setPriority(pid, getPriority(engine));
    const { data } = await stream.until(isSlow('machine'));
    await Promise.all(busy.map(kill));
    expectSlow(data);
    expect(data['cpu_pressure_percent']).toBeGreaterThanOrEqual(25);
    expect(data['human']).toContain('the machine is busy');
    stream.leave();
  });
});

describe.skipIf(!canBeNarrow)('a reader that lags', () => {
  test('is told as the cause as soon as it reads again', async () => {
    const { port } = new URL(worker.url);
    const asked = body('Hello', { max_tokens: 1500, logprobs: 20 });
    const socket = postNarrow(Number(port), asked, { 'X-Correlation-Id': 'naps' });
    const ours = (line: Readonly<Record<string, unknown>>): boolean => line['correlation_id'] === 'naps';
    await worker.line('generation.paused', ours);
    // The buffer of the connection can take more: then another pause begins, and the last one counts.
    const pauses = (): number => worker.lines.filter((line) => line.event === 'generation.paused' && ours(line)).length;
    for (let before = 0; before < pauses(); ) {
      before = pauses();
      await sleep(3000);
    }
    const told = events(await read(socket));
    const slowed = told.find((data) => data['event'] === 'generation.slowed' && data['cause'] === 'reader');
    expectSlow(slowed ?? {});
    expect(slowed).toMatchObject({ other_sequences: 0 });
    expect(Number(slowed?.['paused_ms'])).toBeGreaterThanOrEqual(2900);
    expect(Number(slowed?.['window_ms'])).toBeGreaterThanOrEqual(Number(slowed?.['paused_ms']));
    expect(told.at(-1)).toMatchObject({ type: 'end' });
  });
});
