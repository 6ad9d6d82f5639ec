/** Subscribers of a log: replay, live events, pause, shedding, stall timeout, and the end of the last one. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sseEncoder } from '../../src/http/sse.ts';
import { EventLog } from '../../src/jobs/event-log.ts';
import { Subscriber } from '../../src/jobs/subscriber.ts';
import { MAX_SUBSCRIBERS, type ReadPolicy } from '../../src/jobs/subscribers.ts';
import { capture } from '../../src/narration/narrate.ts';
import { FakeSocket, fakeJob } from '../support/fakes.ts';
import { ERROR, idsOf, NARRATION } from './events.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const KILOBYTE = 'x'.repeat(1000);

function setUp(policy: Partial<ReadPolicy> = {}) {
  const job = fakeJob('req-1', { detachMs: 5000, slowMs: 3000, ...policy });
  const { log } = job;
  const pauses: string[] = [];
  job.subscribers.onChange((paused) => pauses.push(paused ? 'pause' : 'resume'));
  let tokens = 0;
  const emit = (count: number, t = KILOBYTE): void => {
    for (let i = 0; i < count; i += 1) log.emit({ type: 'token', t, i: tokens++ });
  };
  const add = (from = 0): { socket: FakeSocket; subscriber: Subscriber } => {
    const socket = new FakeSocket();
    const subscriber = job.subscribers.add(from, socket);
    subscriber.on('error', () => undefined).pipe(socket);
    return { socket, subscriber };
  };
  return { log, job, emit, add, pauses };
}

/** Waits until the streams have passed on their data. */
async function settle(): Promise<void> {
  for (let i = 0; i < 200; i += 1) await turn();
}

test('of a very long output, a subscriber that keeps up receives every event; one that comes late gets the last ones', async () => {
  const LIMIT = 256 * 1024;
  const { log, emit, add, pauses } = setUp({ logBytes: LIMIT });
  const { socket } = add();
  const TOKENS = 100_000;
  let heard = 0;
  for (let emitted = 0; emitted < TOKENS; emitted += 100) {
    emit(100, 'word ');
    for (let turns = 0; log.next > (idsOf(socket.received).at(-1) ?? -1) + 1 && turns < 1000; turns += 1) await turn();
    const ids = idsOf(socket.received);
    expect([ids[0], ids.length]).toEqual([heard, 100]);
    heard += ids.length;
    socket.received = '';
    expect(log.bytes).toBeLessThanOrEqual(LIMIT);
  }
  expect([heard, pauses]).toEqual([TOKENS, []]);
  expect(log.first).toBeGreaterThan(TOKENS / 2);
  const late = add(log.first);
  log.emit(ERROR);
  await settle();
  expect(idsOf(late.socket.received)).toEqual(Array.from({ length: TOKENS + 1 - log.first }, (_, i) => log.first + i));
});

describe('a subscriber', () => {
  test('receives past events, live events and the end, byte for byte', async () => {
    const { log, emit, add } = setUp();
    emit(3);
    const { socket } = add();
    emit(40);
    log.emit(ERROR);
    await settle();
    expect(socket.received).toBe(log.text);
    expect(socket.writableFinished).toBe(true);
  });

  test('that comes later begins at its id, and receives the same bytes as the others', async () => {
    const { log, emit, add } = setUp();
    const first = add();
    emit(5);
    const second = add(3);
    emit(5);
    await settle();
    log.emit(ERROR);
    const third = add(10);
    await settle();
    expect(first.socket.received).toBe(log.text);
    expect(idsOf(second.socket.received)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    expect(idsOf(third.socket.received)).toEqual([10]);
    expect(log.text.endsWith(second.socket.received)).toBe(true);
  });

  test('of a quiet log receives the keep-alive text of the format, which is not an event', async () => {
    vi.useRealTimers();
    const log = new EventLog(sseEncoder('req-1'));
    const options = { onProgress: () => undefined, onClosed: () => undefined, keepAliveMs: 20 };
    const subscriber = new Subscriber(log, 0, { writableLength: 0 }, options);
    const chunks = subscriber[Symbol.asyncIterator]();
    expect(String((await chunks.next()).value)).toBe(': keep-alive\n\n');
    expect(String((await chunks.next()).value)).toBe(': keep-alive\n\n');
    log.emit(ERROR);
    subscriber.serve();
    expect(idsOf(String((await chunks.next()).value))).toEqual([0]);
    expect((await chunks.next()).done).toBe(true);
  });
});

describe('a subscriber that does not read', () => {
  test('pauses the generation after a bounded backlog, and resumes it when it has caught up', async () => {
    const { log, emit, add, pauses } = setUp();
    const { socket } = add();
    socket.block();
    emit(100);
    await settle();
    expect(pauses).toEqual([]);
    emit(60);
    await settle();
    expect(pauses).toEqual(['pause']);
    socket.unblock();
    await settle();
    expect(pauses).toEqual(['pause', 'resume']);
    expect(socket.received).toBe(log.text);
  });

  test('causes shedding before that, and receives the number of shed events when it reads again', async () => {
    const { log, emit, add } = setUp();
    const { socket } = add();
    socket.block();
    emit(80);
    log.emit(NARRATION);
    emit(1);
    expect(log.shed).toBe(1);
    socket.unblock();
    await settle();
    log.emit(NARRATION);
    await settle();
    expect(socket.received).toContain('"shed":1');
  });

  test('ends its job after a timeout without progress, and gets one more timeout for the rest', async () => {
    const { log, job, emit, add } = setUp();
    const { socket, subscriber } = add();
    socket.block();
    emit(200);
    await settle();
    vi.advanceTimersByTime(2999);
    expect(job.stopped).toBeUndefined();
    for (let write = 0; write < 3; write += 1) socket.step();
    await settle();
    vi.advanceTimersByTime(2999);
    expect(job.stopped).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(job.stopped?.why).toBe('slow_reader');
    log.emit({ ...ERROR, code: 'SLOW_CONSUMER' });
    await settle();
    expect(subscriber.destroyed).toBe(false);
    vi.advanceTimersByTime(3000);
    expect(subscriber.destroyed).toBe(true);
  });

  test('is the only one disconnected if others read, and the generation never pauses', async () => {
    const { job, emit, add, pauses } = setUp();
    const [slow, fast] = [add(), add()];
    slow.socket.block();
    for (let i = 0; i < 20; i += 1) {
      emit(10);
      await settle();
    }
    expect(pauses).toEqual([]);
    const { narrations } = await capture(() => vi.advanceTimersByTime(3000));
    expect([slow.subscriber.destroyed, fast.subscriber.destroyed, job.stopped]).toEqual([true, false, undefined]);
    expect(narrations.map(({ event }) => event)).toEqual(['reader.dropped']);
  });

  test('is disconnected from a job with on_disconnect: continue, which keeps running', async () => {
    const { job, emit, add } = setUp({ onDisconnect: 'continue' });
    const { socket, subscriber } = add();
    socket.block();
    emit(200);
    await settle();
    vi.advanceTimersByTime(3000);
    await settle();
    expect([subscriber.destroyed, job.stopped, job.subscribers.paused]).toEqual([true, undefined, false]);
  });
});

describe('a subscriber that leaves', () => {
  test('stops the job if it was the last one', async () => {
    const { job, emit, add } = setUp();
    const [first, second] = [add(), add()];
    emit(1);
    first.socket.destroy();
    await settle();
    expect(job.stopped).toBeUndefined();
    second.socket.destroy();
    await settle();
    expect(job.stopped?.why).toBe('reader_left');
  });

  test('does not stop a job with on_disconnect: continue until the detach timeout', async () => {
    const { job, emit, add } = setUp({ onDisconnect: 'continue' });
    const { narrations } = await capture(async () => {
      add().socket.destroy();
      await settle();
    });
    expect(narrations.map(({ event }) => event)).toEqual(['reader.detached']);
    vi.advanceTimersByTime(4999);
    const again = add();
    emit(1);
    await settle();
    vi.advanceTimersByTime(60_000);
    expect(job.stopped).toBeUndefined();
    again.socket.destroy();
    await settle();
    vi.advanceTimersByTime(5000);
    expect(job.stopped?.why).toBe('unclaimed');
  });

  test('and joins again at once is reported to the log only, once in ten seconds with a count', async () => {
    const { log, job, emit } = setUp({ onDisconnect: 'continue', detachMs: 60_000 });
    emit(3);
    const before = log.text;
    const { narrations } = await capture(async () => {
      for (let time = 0; time < 40; time += 1) {
        const socket = new FakeSocket();
        job.subscribers
          .join(1, socket)
          .on('error', () => undefined)
          .pipe(socket);
        await turn();
        socket.destroy();
        await turn();
        await turn();
      }
      vi.advanceTimersByTime(10_000);
    });
    const of = (name: string): unknown[] => narrations.filter(({ event }) => event === name);
    expect(narrations).toHaveLength(4);
    expect(of('reader.returned')).toMatchObject([
      { times: 1, events_replayed: 2, readers: 1, correlation_id: 'req-1', job_id: 'job-1' },
      { times: 39, events_replayed: 78, readers: 0 },
    ]);
    expect(of('reader.detached')).toMatchObject([{ times: 1 }, { times: 39, timeout_ms: 60_000 }]);
    expect(log.text).toBe(before);
  });

  test('changes nothing for a finished job', async () => {
    const { log, job, add } = setUp({ onDisconnect: 'continue' });
    const { socket } = add();
    log.emit(ERROR);
    socket.destroy();
    await settle();
    vi.advanceTimersByTime(60_000);
    expect(job.stopped).toBeUndefined();
  });
});

describe('the log of a running job', () => {
  test('is trimmed to its limit; a subscriber that still needs dropped events is disconnected', async () => {
    const { log, emit, add } = setUp({ logBytes: 300_000 });
    const [slow, fast] = [add(), add()];
    slow.socket.block();
    for (let i = 0; i < 100; i += 1) {
      emit(10);
      await settle();
    }
    expect(log.bytes).toBeLessThanOrEqual(300_000);
    expect(idsOf(fast.socket.received)).toEqual(Array.from({ length: 1000 }, (_, id) => id));
    expect(slow.subscriber.destroyed).toBe(true);
  });

  test('pauses the generation when it is full and has no subscriber, until one is added', async () => {
    const { log, emit, add, pauses } = setUp({ onDisconnect: 'continue', logBytes: 300_000 });
    add().socket.destroy();
    await settle();
    emit(320);
    expect(pauses).toEqual(['pause']);
    expect(log.first).toBe(0);
    const { socket } = add();
    await settle();
    expect(pauses).toEqual(['pause', 'resume']);
    expect(idsOf(socket.received).filter((id, at) => id !== at)).toEqual([]);
    expect(log.bytes).toBeLessThanOrEqual(300_000);
  });
});

describe('many subscribers', () => {
  test('are at most 16 per job: the next one is refused, and accepted when one has left', async () => {
    const { job, add } = setUp();
    const all = Array.from({ length: MAX_SUBSCRIBERS }, () => add());
    expect(MAX_SUBSCRIBERS).toBe(16);
    expect(() => add()).toThrow(expect.objectContaining({ code: 'TOO_MANY_READERS', status: 429, retriable: true }));
    expect(job.subscribers.size).toBe(16);
    all[3]?.socket.destroy();
    await settle();
    expect(() => add()).not.toThrow();
  });

  test('cost one check of each of them per event, and one per turn of the event loop for all drains', async () => {
    const { emit, add } = setUp();
    const all = Array.from({ length: MAX_SUBSCRIBERS }, () => add());
    await settle();
    const checks = vi.spyOn(Subscriber.prototype, 'unread', 'get');
    emit(1, 'x');
    expect(checks.mock.calls.length).toBe(MAX_SUBSCRIBERS);
    await settle();
    checks.mockClear();
    for (const { socket } of all) socket.emit('drain');
    expect(checks.mock.calls.length).toBe(0);
    await settle();
    expect(checks.mock.calls.length).toBe(MAX_SUBSCRIBERS);
    checks.mockRestore();
  });
});
