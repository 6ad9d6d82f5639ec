/**
 * The engine dies while a job with several outputs waits, has ended some of them, or computes some of them. With
 * `--on-engine-loss fail`, which ends the outputs that have a slot.
 */
import { afterEach, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { type Completions, readCompletions } from '../../support/completions.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
afterEach(() => worker.kill());

const N = 4;
const FAIL = ['--on-engine-loss', 'fail'];
const BODY = { prompt: 'The old pond', n: N, seed: 11, max_tokens: 60, min_tokens: 60, ignore_eos: true };
const QUEUED = { 'X-Correlation-Id': 'several' };

/** The outputs of the body without a loss. */
async function expected(): Promise<string[]> {
  const response = await worker.post('/v1/completions', BODY);
  const { choices } = (await response.json()) as { choices: { text: string }[] };
  return choices.map(({ text }) => text);
}

async function stream(more: object = {}): Promise<Completions> {
  const response = await worker.post('/v1/completions', { ...BODY, ...more, stream: true }, QUEUED);
  expect(response.status).toBe(200);
  return readCompletions(response);
}

/** Reads a stream to its end. */
async function outputsOf({ pieces }: Completions): Promise<{ texts: string[]; ended: number[] }> {
  const texts = Array.from({ length: N }, () => '');
  const ended: number[] = [];
  for await (const { index, text, ended: isLast } of pieces) {
    texts[index] += text;
    if (isLast) ended.push(index);
  }
  return { texts, ended: ended.toSorted((a, b) => a - b) };
}

const ALL = Array.from({ length: N }, (_, index) => index);

test('a job that waits is continued, with each output once', async () => {
  worker = await startWorker({ args: ['--slots', '2', '--stall-after', '600', ...FAIL] });
  const texts = await expected();
  const others = await Promise.all(['one', 'two'].map((id) => Listener.open(worker, longJob(id))));
  await Promise.all(others.map((other) => other.untilToken()));
  const engine = enginePid(worker);
  process.kill(engine, 'SIGSTOP');
  const several = await stream();
  process.kill(engine, 'SIGKILL');
  expect(await outputsOf(several)).toEqual({ texts, ended: ALL });
  expect(several.ends).toEqual(['[DONE]']);
  for (const other of others) expect(lastOf(await other.ended)).toMatchObject({ code: 'ENGINE_LOST' });
  expect(worker.lines.filter(({ event }) => event === 'request.requeued')).toHaveLength(1);
});

test('a job whose first outputs have ended is continued, though the copied prompt is lost', async () => {
  worker = await startWorker({ args: ['--slots', '1', ...FAIL] });
  const texts = await expected();
  const several = await stream();
  await worker.line('cache.reset', (line) => line['correlation_id'] === 'several');
  const other = await Listener.open(worker, longJob('other'));
  const killed = other.untilToken().then(() => process.kill(enginePid(worker), 'SIGKILL'));
  expect(await outputsOf(several)).toEqual({ texts, ended: ALL });
  expect(several.ends).toEqual(['[DONE]']);
  await killed;
  expect(lastOf(await other.ended)).toMatchObject({ code: 'ENGINE_LOST' });
});

test('a job whose outputs are computed ends with one error', async () => {
  worker = await startWorker({ args: ['--slots', '2', ...FAIL] });
  // So long that the engine still computes when a late reader kills it.
  const several = await stream({ max_tokens: 400, min_tokens: 400 });
  const ended: number[] = [];
  let killed = false;
  for await (const { index, ended: isLast } of several.pieces) {
    if (isLast) ended.push(index);
    if (index < 2 || killed) continue;
    killed = true;
    process.kill(enginePid(worker), 'SIGKILL');
  }
  expect(ended.length).toBeGreaterThan(0);
  expect(several.ends.filter((code) => code !== '[DONE]')).toHaveLength(1);
  await worker.line('engine.restarted');
  expect(await expected()).toHaveLength(N);
});
