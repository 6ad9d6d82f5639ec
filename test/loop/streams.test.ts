/** No event, replay or end of a job holds the event loop, with as many subscribers and logs as allowed. */
import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sseEncoder } from '../../src/http/sse.ts';
import { EventLog } from '../../src/jobs/event-log.ts';
import type { Job } from '../../src/jobs/job.ts';
import { JobRegistry } from '../../src/jobs/registry.ts';
import { CHUNK_BYTES } from '../../src/jobs/subscriber.ts';
import { MAX_SUBSCRIBERS } from '../../src/jobs/subscribers.ts';
import { openStdout } from '../../src/narration/stdout.ts';
import type { TokenReport } from '../../src/protocol/messages.ts';
import { MAX_PENDING_TOKENS, OutputText } from '../../src/text/output/output-text.ts';
import { StopMatcher } from '../../src/text/output/stop-strings.ts';
import { FakeSocket, fakeJob, idleMetrics } from '../support/fakes.ts';
import { CEILING_MS, callMs, turnMs } from './longest-turn.ts';
import { answerIn, getOf, type LoopServer, startLoopServer } from './loop-server.ts';

let server: LoopServer;
beforeAll(async () => {
  server = await startLoopServer();
});
afterAll(() => server.app.close());

/** Share of a running job in the default memory of logs. */
const LOG_BYTES = 2 * 2 ** 20;
const TOP = Array.from({ length: 20 }, (_, index) => ({ id: 150_000 + index, logprob: -12.34567890123456 - index }));
const SCORED: TokenReport = { id: 150_000, logprob: -0.1234567890123456, top: TOP };
const END = { tokens_in: 1, tokens_out: 1, cached_tokens: 0, decode_time_ms: 1, time_to_first_token_ms: 1 };

const started = (job: Job): void =>
  job.log.emit({
    type: 'started',
    job_id: 'job',
    run_id: job.runId,
    model: 'fake',
    started_at: '2026-01-01T00:00:00Z',
    seed: 1,
    worker_id: 'w',
  });
const ended = (job: Job): void =>
  job.log.emit({ type: 'end', ...END, queue_ms: 0, stop_reason: 'max_tokens', seed: 1 });
const scored = (tokens: readonly TokenReport[], i = 0): Parameters<EventLog['emit']>[0] => {
  const earlier = tokens.slice(1).map(({ id, logprob = 0, top = [] }) => ({ id, logprob, top: [...top] }));
  return { type: 'token', t: 'x', i, id: SCORED.id, logprob: SCORED.logprob ?? 0, top: [...TOP], earlier };
};

/** A job whose log has `bytes` of the given events. */
function filledJob(bytes: number, event: (index: number) => Parameters<EventLog['emit']>[0]): Job {
  const job = fakeJob('c', { onDisconnect: 'continue', logBytes: 2 * bytes });
  started(job);
  for (let index = 0; job.log.bytes < bytes; index += 1) job.log.emit(event(index));
  return job;
}

describe('a replay of a full log', () => {
  test.each([
    ['of short events', (index: number) => ({ type: 'token', t: 'x', i: index }) as const],
    ['of events with 20 alternatives', (index: number) => scored([SCORED], index)],
  ])('%s to 16 subscribers at once', async (name, event) => {
    const job = filledJob(LOG_BYTES, event);
    ended(job);
    server.jobs.add(name, job);
    const request = getOf(`/jobs/${encodeURIComponent(name)}/events?after=0`);
    const { status, body } = answerIn(await server.send(request));
    expect([status, body.length > LOG_BYTES / 3]).toEqual([200, true]);
    const all = (): Promise<unknown> =>
      Promise.all(Array.from({ length: MAX_SUBSCRIBERS }, () => server.send(request)));
    expect(await turnMs(all)).toBeLessThan(CEILING_MS);
  });
});

test('a replay sends about one chunk in a turn, even if the socket takes everything', async () => {
  const job = filledJob(LOG_BYTES / 4, (index) => ({ type: 'token', t: 'x', i: index }));
  ended(job);
  const socket = new FakeSocket();
  job.subscribers.add(0, socket).pipe(socket);
  let [longest, before] = [0, 0];
  while (!socket.writableFinished) {
    await nextTurn();
    longest = Math.max(longest, socket.received.length - before);
    before = socket.received.length;
  }
  expect(longest).toBeLessThan(3 * CHUNK_BYTES);
  expect(socket.received).toBe(job.log.text);
});

test('the largest event, for 16 subscribers', async () => {
  const job = fakeJob('c', { onDisconnect: 'continue' });
  started(job);
  server.jobs.add('live', job);
  const sockets = await Promise.all(Array.from({ length: MAX_SUBSCRIBERS }, () => server.open()));
  for (const socket of sockets) {
    socket.resume().write(getOf('/jobs/live/events'));
    await new Promise((resolve) => socket.once('data', resolve));
  }
  expect(job.subscribers.size).toBe(MAX_SUBSCRIBERS);
  const event = scored(Array(MAX_PENDING_TOKENS).fill(SCORED));
  expect(await turnMs(async () => job.log.emit(event))).toBeLessThan(CEILING_MS);
  ended(job);
  await Promise.all(sockets.map((socket) => socket.closed || new Promise((resolve) => socket.once('close', resolve))));
});

test('one frame with 20 alternatives, and one with as many waiting tokens as allowed', () => {
  for (const tokens of [[SCORED], Array<TokenReport>(MAX_PENDING_TOKENS).fill(SCORED)])
    expect(callMs(() => new EventLog(sseEncoder('c')).emit(scored(tokens)))).toBeLessThan(CEILING_MS);
});

/** Token 0 has no text; every other token is one letter. */
const decoder = {
  decode: (ids: readonly number[]) => ids.map((id) => (id === 0 ? '' : 'x')).join(''),
  isVisible: (id: number) => id !== 0,
};

test('tokens without text are reported with the next text, but only the last 512', () => {
  const output = new OutputText(decoder, []);
  for (let index = 0; index < 2000; index += 1) expect(output.push({ id: 0, logprob: -index })).toBeUndefined();
  const { tokens = [] } = output.push({ id: 1, logprob: 0 }) ?? {};
  const kept = tokens.map(({ logprob }) => logprob);
  expect([kept.length, kept[0], kept.at(-2), kept.at(-1)]).toEqual([512, -1489, -1999, 0]);
});

test('a stop string that almost matches everywhere in a long piece', () => {
  const stops = Array.from({ length: 4 }, (_, index) => `${'a'.repeat(98)}${'bcde'[index]}`);
  const text = `${'a'.repeat(97)}\ud83d\udc1d`.repeat(660);
  expect(callMs(() => new StopMatcher(stops).push(text))).toBeLessThan(CEILING_MS);
});

test('text of a job of 2 048 tokens that are no whole characters', () => {
  const broken = { decode: (ids: readonly number[]) => '\ufffd'.repeat(ids.length), isVisible: () => true };
  const all = (): void => {
    const output = new OutputText(broken, ['a'.repeat(100)]);
    for (let index = 0; index < 2048; index += 1) output.push(SCORED);
  };
  expect(callMs(all)).toBeLessThan(CEILING_MS);
});

test('a full log is trimmed', () => {
  const logs = Array.from({ length: 10 }, () => filledJob(LOG_BYTES, (i) => ({ type: 'token', t: 'x', i })).log);
  const trim = (): void => logs.pop()?.trim(0, Number.POSITIVE_INFINITY);
  expect(callMs(trim)).toBeLessThan(CEILING_MS);
  expect(logs.length).toBeLessThan(10);
});

test('a long log replaces thousands of short ones', () => {
  const times = Array.from({ length: 3 }, () => {
    const registry = new JobRegistry({ ttlMs: 60_000, bytes: 2 * LOG_BYTES });
    const finish = (id: string, job: Job): void => {
      ended(job);
      registry.add(id, job);
      registry.remove(id);
    };
    for (let index = 0; registry.logBytes < LOG_BYTES - 1000; index += 1) {
      const job = fakeJob('c');
      started(job);
      finish(`${'short'.repeat(50)}${index}`, job);
    }
    const long = filledJob(LOG_BYTES - 1000, (i) => ({ type: 'token', t: 'x', i }));
    const began = performance.now();
    finish('long', long);
    return performance.now() - began;
  });
  expect(Math.min(...times)).toBeLessThan(CEILING_MS);
});

test('a scrape with a value of every metric', async () => {
  const metrics = idleMetrics();
  expect(await turnMs(() => metrics.render())).toBeLessThan(CEILING_MS);
});

test('the longest line of the log, behind a reader that does not read', () => {
  const stuck = new Writable({ write: () => undefined });
  const stdout = openStdout({ level: 'info', format: 'json' }, stuck);
  const fields = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`field${index}`, '\u{1f41d}'.repeat(128)]),
  );
  const line = { level: 'INFO', worker_id: 'w', human: '"'.repeat(100), ...fields } as const;
  expect(callMs(() => stdout.write(line))).toBeLessThan(CEILING_MS);
  for (let bytes = 0; bytes < 17 * 2 ** 20; bytes += 5000) stdout.write(line);
  expect(callMs(() => stdout.write(line))).toBeLessThan(CEILING_MS);
});
