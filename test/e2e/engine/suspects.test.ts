/**
 * Engines that are lost twice in a row: the requests that ran in both losses are tested one at a time. The
 * one that ends the engine alone is ended; nobody else loses anything.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { FaultyEngine } from '../../support/faulty-engine.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { expectWhole, interruptions, openAll, undisturbed } from '../../support/survivors.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
let faulty: FaultyEngine | undefined;
afterEach(async () => {
  await worker.kill();
  faulty?.remove();
  faulty = undefined;
});

const CULPRIT = 4_242;
const SEEDS = Array.from({ length: 15 }, (_, seed) => seed);
const SHORTER = { min_tokens: 240, max_tokens: 240 };
const losses = () => worker.lines.filter(({ event }) => event === 'engine.lost');

const USER = [{ role: 'user', content: 'The sea' }];

describe('a request that ends every engine', () => {
  test.each([
    ['in a step of its output', { token: 40 }, 16],
    ['in the step of its prompt', 'slot' as const, 16],
    ['in a step of its output, with fewer slots than requests', { token: 40 }, 4],
  ])('%s is ended with ENGINE_LOST, and fifteen others get their right texts', async (_, at, slots) => {
    faulty = new FaultyEngine({ seed: CULPRIT, at });
    worker = await startWorker({ args: ['--slots', String(slots)], env: faulty.env });
    const texts = await undisturbed(worker, SEEDS, SHORTER);
    // All are accepted before the first loss: a worker without an engine accepts none.
    const innocent = await openAll(worker, SEEDS, SHORTER);
    const culprit = await Listener.open(worker, longJob('culprit', { seed: CULPRIT }));
    const events = await culprit.ended;
    const end = lastOf(events);
    expect(end).toMatchObject({ type: 'error', code: 'ENGINE_LOST', retriable: false, retry: 'never' });
    expect(end).toHaveProperty('message', expect.stringContaining('ended the engine 3 times in a row'));
    // Nobody is asked to go on with an output that ends every engine.
    expect(end).not.toHaveProperty('resume');
    const told = all(events, 'narration').find(({ event }) => event === 'request.engine_lost');
    expect(told).toMatchObject({ engine_losses: 3, reason: 'signal SIGSEGV' });
    for (const [index, stream] of innocent.entries()) await expectWhole(stream, texts[index] ?? '');
    expect(losses().map((line) => line['caused_by'])).toEqual(['unknown', 'unknown', 'request']);
    expect(losses().at(-1)).toMatchObject({ requests_running: 1, requests_interrupted: 0 });
    expect(await (await worker.get('/health')).json()).toMatchObject({ slots: { busy: 0 }, queue: { length: 0 } });
    expect(await worker.stop()).toBe(0);
  });

  test('can come again and again: its losses do not end the worker', async () => {
    faulty = new FaultyEngine({ seed: CULPRIT, at: { token: 5 } });
    worker = await startWorker({ args: ['--slots', '2'], env: faulty.env });
    const [text = ''] = await undisturbed(worker, [1]);
    for (let times = 1; times <= 3; times += 1) {
      const culprit = await Listener.open(worker, longJob('culprit', { seed: CULPRIT }));
      expect(lastOf(await culprit.ended)).toMatchObject({ code: 'ENGINE_LOST' });
      await worker.line('engine.restarted', (line) => line['restarts'] === 3 * times);
      await expect.poll(async () => (await worker.get('/ready')).status).toBe(200);
      const [stream] = await openAll(worker, [1]);
      if (stream) await expectWhole(stream, text);
    }
    expect(await worker.stop()).toBe(0);
  });

  test.each([
    ['/v1/chat/completions', { messages: USER }, { error: { code: 'engine_lost', type: 'server_error' } }],
    ['/v1/completions', { prompt: 'The sea' }, { error: { code: 'engine_lost', type: 'server_error' } }],
    ['/v1/responses', { input: 'The sea' }, { error: { code: 'engine_lost', type: 'server_error' } }],
    ['/v1/messages', { messages: USER }, { type: 'error', error: { type: 'api_error' } }],
  ])('is 500 at %s without a stream, so that no load balancer sends it elsewhere', async (path, body, error) => {
    faulty = new FaultyEngine({ seed: CULPRIT, at: { token: 5 } });
    worker = await startWorker({ args: ['--slots', '2'], env: faulty.env });
    const limit = path === '/v1/responses' ? { max_output_tokens: 40 } : { max_tokens: 40 };
    const answer = await worker.post(path, { ...body, ...limit, seed: CULPRIT, min_tokens: 40 });
    expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([500, 'false']);
    expect(await answer.json()).toMatchObject(error);
    expect(await worker.stop()).toBe(0);
  });

  test('is told apart from the request beside it, which is held while the culprit runs alone', async () => {
    faulty = new FaultyEngine({ seed: CULPRIT, at: 'slot' });
    worker = await startWorker({ args: ['--slots', '2'], env: faulty.env });
    const [text = ''] = await undisturbed(worker, [2]);
    const [beside] = await openAll(worker, [2]);
    await beside?.untilToken(5);
    const culprit = await Listener.open(worker, longJob('culprit', { seed: CULPRIT }));
    expect(lastOf(await culprit.ended)).toMatchObject({ code: 'ENGINE_LOST' });
    if (!beside) throw new Error('There is no stream.');
    await expectWhole(beside, text);
    // Two losses without a token in between are one interruption.
    const once = ['request.interrupted', 'request.resumed'];
    const tested = ['request.held', 'request.resumed'];
    expect([
      [...once, ...tested],
      [...once, ...once, ...tested],
    ]).toContainEqual(interruptions(beside));
    expect(interruptions(culprit)).toEqual(['request.interrupted', 'request.held']);
  });
});

/** Kills the engine again and again, as soon as it is open, until it was lost `times` times. */
async function killed(times: number): Promise<void> {
  for (let restarts = 1; restarts <= times; restarts += 1) {
    process.kill(enginePid(worker), 'SIGKILL');
    await worker.line('engine.restarted', (line) => line['restarts'] === restarts);
  }
}

test('an engine that is killed twice from outside costs nobody anything', async () => {
  worker = await startWorker({ args: ['--slots', '4'] });
  const seeds = SEEDS.slice(0, 6);
  const texts = await undisturbed(worker, seeds);
  const streams = await openAll(worker, seeds);
  await Promise.all(streams.slice(0, 4).map((stream) => stream.untilToken(5)));
  await killed(2);
  for (const [index, stream] of streams.entries()) await expectWhole(stream, texts[index] ?? '');
  for (const stream of streams) {
    const told = interruptions(stream);
    expect(told.filter((event) => event === 'request.interrupted').length).toBeLessThanOrEqual(2);
    // Every interruption has an end.
    if (told.includes('request.interrupted')) expect(told.at(-1)).toBe('request.resumed');
  }
  expect(await worker.stop()).toBe(0);
});
