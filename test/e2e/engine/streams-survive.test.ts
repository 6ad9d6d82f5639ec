/** The engine process is killed under running streams: the next one continues them, and no token is wrong. */
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { readCompletions } from '../../support/completions.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import {
  expectWhole,
  interruptions,
  killEngine,
  openAll,
  openAndSuspend,
  undisturbed,
} from '../../support/survivors.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
afterEach(() => worker.kill());

const SEEDS = Array.from({ length: 16 }, (_, seed) => seed);
const ONCE = ['request.interrupted', 'request.resumed'];

test.each([
  ['greedy', { temperature: 0 }],
  ['seeded', { temperature: 1 }],
])('sixteen %s streams end with their right texts, and are told once of the interruption', async (_, more) => {
  worker = await startWorker({ args: ['--slots', '16'] });
  const jobs = { ...more, prompt: 'The old pond', min_tokens: 400, max_tokens: 400 };
  const texts = await undisturbed(worker, SEEDS, jobs);
  const streams = await openAndSuspend(worker, SEEDS, jobs);
  process.kill(enginePid(worker), 'SIGKILL');
  for (const [index, stream] of streams.entries()) {
    await expectWhole(stream, texts[index] ?? '');
    expect(interruptions(stream)).toEqual(ONCE);
    const told = all(stream.events, 'narration');
    const [interrupted, resumed, explained] = ['request.interrupted', 'request.resumed', 'time.explained'].map((name) =>
      told.find(({ event }) => event === name),
    );
    expect(interrupted).toMatchObject({ level: 'WARN', reason: 'signal SIGKILL', tokens_out: expect.any(Number) });
    // The prompt and the output so far, except what the cache of the new engine has of other streams.
    const tokens = Number(lastOf(stream.events)['tokens_in']) + Number(interrupted?.['tokens_out']);
    expect(Number(resumed?.['tokens_recomputed'])).toBeLessThanOrEqual(tokens);
    expect(Number(resumed?.['tokens_recomputed'])).toBeGreaterThan(0);
    expect(explained?.['interrupted_ms']).toBe(resumed?.['interrupted_ms']);
  }
  expect(await worker.line('engine.lost')).toMatchObject({
    requests_running: 16,
    requests_interrupted: 16,
    caused_by: 'unknown',
  });
  expect(await worker.line('engine.restarted')).toMatchObject({ restarts: 1, requests_interrupted: 16 });
  const metrics = await (await worker.get('/metrics')).text();
  for (const name of ['interrupted', 'resumed']) expect(metrics).toContain(`worker_requests_${name}_total 16\n`);
  expect(await (await worker.get('/health')).json()).toMatchObject({ status: 'healthy', slots: { busy: 0 } });
  expect(await worker.stop()).toBe(0);
});

test('more streams than slots: those that ran go on first, and the queue follows', async () => {
  worker = await startWorker({ args: ['--slots', '2'] });
  const seeds = SEEDS.slice(0, 5);
  const texts = await undisturbed(worker, seeds);
  const streams = await openAll(worker, seeds);
  const [first] = streams;
  await first?.untilToken(20);
  process.kill(enginePid(worker), 'SIGKILL');
  for (const [index, stream] of streams.entries()) await expectWhole(stream, texts[index] ?? '');
  const told = streams.map((stream) => interruptions(stream));
  expect(told.filter((events) => events.length > 0)).toEqual([ONCE, ONCE]);
  expect(streams.filter((stream) => stream.told.includes('request.requeued'))).toHaveLength(3);
});

test('a stream survives two kills from outside, one after the other, and so does its neighbour', async () => {
  worker = await startWorker({ args: ['--slots', '2'] });
  const seeds = [3, 4];
  const texts = await undisturbed(worker, seeds);
  const streams = await openAll(worker, seeds);
  await Promise.all(streams.map((stream) => stream.untilToken(10)));
  await killEngine(worker);
  // Far enough that nobody is a suspect of the second loss.
  await Promise.all(streams.map((stream) => stream.untilToken(150)));
  await killEngine(worker);
  for (const [index, stream] of streams.entries()) {
    await expectWhole(stream, texts[index] ?? '');
    expect(interruptions(stream)).toEqual([...ONCE, ...ONCE]);
  }
  expect(await worker.stop()).toBe(0);
});

describe('the state of a stream survives', () => {
  const SCHEMA = {
    type: 'object',
    properties: {
      lines: { type: 'array', items: { type: 'string', minLength: 30, maxLength: 60 }, minItems: 5, maxItems: 5 },
    },
    required: ['lines'],
    additionalProperties: false,
  };
  test.each<[string, object]>([
    ['penalties', { repetition_penalty: 1.3, frequency_penalty: 0.5, presence_penalty: 0.4 }],
    ['log-probabilities', { logprobs: 5 }],
    ['a schema', { schema: SCHEMA, min_tokens: 0 }],
    ['a bias and filters', { logit_bias: { 40: 3 }, top_k: 40, top_p: 0.9, min_p: 0.01, temperature: 1.3 }],
  ])('%s', async (_, more) => {
    worker = await startWorker({ args: ['--slots', '2'] });
    const job = { seed: 5, ...more };
    const alone = await Listener.open(worker, longJob('alone', job));
    const whole = await alone.ended;
    const stream = await Listener.open(worker, longJob('disturbed', job));
    await stream.untilToken(25);
    process.kill(enginePid(worker), 'SIGKILL');
    await expectWhole(stream, alone.text);
    expect(interruptions(stream)).toEqual(ONCE);
    const tokensOf = (events: typeof whole) =>
      all(events, 'token').map(({ id, logprob, top }) => [id, typeof logprob, top === undefined]);
    expect(tokensOf(stream.events)).toEqual(tokensOf(whole));
    expect(lastOf(stream.events)).toMatchObject({ stop_reason: lastOf(whole)['stop_reason'] });
  });

  test('a stop string that begins before the loss and ends after it', async () => {
    worker = await startWorker({ args: ['--slots', '1'] });
    const whole = await Listener.open(worker, longJob('whole'));
    await whole.ended;
    const pieces = all(whole.events, 'token').map(({ t }) => String(t));
    // The text of some tokens around the loss, long enough to occur only there.
    const stop = pieces.slice(20, 60).join('').slice(0, 100);
    const [stream] = await openAndSuspend(worker, [1], { stop: [stop] }, 10);
    if (!stream) throw new Error('no stream');
    process.kill(enginePid(worker), 'SIGKILL');
    const events = await stream.ended;
    expect(lastOf(events)).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence_matched: stop });
    expect(stream.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
    expect(interruptions(stream)).toEqual(ONCE);
  });
});

describe('other routes', () => {
  const BODY = { prompt: 'The old pond', seed: 11, max_tokens: 300, min_tokens: 300, ignore_eos: true };
  type Document = { choices: { text: string }[] };
  const textsOf = async (body: object): Promise<string[]> =>
    ((await (await worker.post('/v1/completions', body)).json()) as Document).choices.map(({ text }) => text);

  test('several outputs of one request are interrupted as one, and end with their right texts', async () => {
    worker = await startWorker({ args: ['--slots', '4'] });
    const body = { ...BODY, n: 4 };
    const texts = await textsOf(body);
    const { pieces, ends } = readCompletions(await worker.post('/v1/completions', { ...body, stream: true }));
    const heard = texts.map(() => '');
    let count = 0;
    for await (const { index, text } of pieces) {
      heard[index] += text;
      count += 1;
      if (count === 40) process.kill(enginePid(worker), 'SIGKILL');
    }
    expect([heard, ends]).toEqual([texts, ['[DONE]']]);
    for (const event of ONCE) expect(worker.lines.filter((line) => line.event === event)).toHaveLength(1);
  });

  test('a document of /v1 that is not a stream survives too', async () => {
    worker = await startWorker({ args: ['--slots', '1'] });
    const texts = await textsOf(BODY);
    const id = { 'X-Correlation-Id': 'document' };
    const answer = worker.post('/v1/completions', BODY, id);
    await worker.line('tokens.progress', (line) => line['correlation_id'] === 'document');
    process.kill(enginePid(worker), 'SIGKILL');
    const { choices } = (await (await answer).json()) as Document;
    expect(choices.map(({ text }) => text)).toEqual(texts);
    expect(worker.linesOf('document').map(({ event }) => event)).toContain('request.resumed');
  });

  test('scores of a prompt are reported once, also if the engine is killed among them', async () => {
    worker = await startWorker({ args: ['--slots', '1', '--prefill-chunk', '16'] });
    const body = {
      ...BODY,
      prompt: 'The old pond is deep. '.repeat(12),
      max_tokens: 20,
      min_tokens: 20,
      echo: true,
      logprobs: 2,
    };
    const scoresOf = async (answer: Promise<Response>) => {
      const document = (await (await answer).json()) as { choices: { text: string; logprobs: { tokens: string[] } }[] };
      return document.choices.map(({ text, logprobs }) => [text, logprobs.tokens]);
    };
    const whole = await scoresOf(worker.post('/v1/completions', body));
    const id = { 'X-Correlation-Id': 'scored' };
    const answer = worker.post('/v1/completions', body, id);
    await worker.line('prefill.progress', (line) => line['correlation_id'] === 'scored');
    process.kill(enginePid(worker), 'SIGKILL');
    expect(await scoresOf(answer)).toEqual(whole);
    expect(worker.linesOf('scored').map(({ event }) => event)).toContain('request.resumed');
  });
});
