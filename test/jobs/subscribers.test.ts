/** Who reads a log, how they pace it, and what happens when they leave. Sockets are streams that take what the test lets them take. */
import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EventLog } from '../../src/jobs/event-log.ts';
import { Job } from '../../src/jobs/job.ts';
import { Subscriber } from '../../src/jobs/subscriber.ts';
import type { ReadPolicy } from '../../src/jobs/subscribers.ts';
import { capture, type Narration } from '../../src/narration/narrate.ts';
import { ERROR, idsOf, NARRATION } from './events.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const KILOBYTE = 'x'.repeat(1000);

/** A socket that takes what comes as long as it is open. */
class Socket extends Writable {
  heard = '';
  #open = true;
  #stuck: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 16 * 1024 });
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    const take = (): void => {
      this.heard += String(chunk);
      done();
    };
    if (this.#open) take();
    else this.#stuck = take;
  }

  block(): void {
    this.#open = false;
  }

  /** Takes one write more. */
  step(): void {
    const take = this.#stuck;
    this.#stuck = undefined;
    take?.();
  }

  unblock(): void {
    this.#open = true;
    this.step();
  }
}

function setUp(terms: Partial<ReadPolicy> = {}) {
  const log = new EventLog('req-1');
  const story = { correlationId: 'req-1', onNarration: (told: Narration) => log.emit('narration', told) };
  const job = new Job(story, log, { onDisconnect: 'cancel', detachMs: 5000, slowMs: 3000, logBytes: 1e6, ...terms });
  const paces: string[] = [];
  job.subscribers.onChange((held) => paces.push(held ? 'pause' : 'resume'));
  let tokens = 0;
  const say = (count: number, t = KILOBYTE): void => {
    for (let i = 0; i < count; i += 1) log.emit('token', { t, i: tokens++ });
  };
  const join = (from = 0): { socket: Socket; reader: Subscriber } => {
    const socket = new Socket();
    const reader = job.subscribers.add(from, socket as unknown as ServerResponse);
    reader.on('error', () => undefined).pipe(socket);
    return { socket, reader };
  };
  return { log, job, say, join, paces };
}

/** Lets streams hand on what they have. */
async function settle(): Promise<void> {
  for (let i = 0; i < 200; i += 1) await turn();
}

describe('a reader', () => {
  test('hears what was, what is and the end, byte for byte', async () => {
    const { log, say, join } = setUp();
    say(3);
    const { socket } = join();
    say(40);
    log.emit('error', ERROR);
    await settle();
    expect(socket.heard).toBe(log.text);
    expect(socket.writableFinished).toBe(true);
  });

  test('that comes later begins where it says, and several hear the same', async () => {
    const { log, say, join } = setUp();
    const first = join();
    say(5);
    const second = join(3);
    say(5);
    await settle();
    log.emit('error', ERROR);
    const third = join(10);
    await settle();
    expect(first.socket.heard).toBe(log.text);
    expect(idsOf(second.socket.heard)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    expect(idsOf(third.socket.heard)).toEqual([10]);
    expect(log.text.endsWith(second.socket.heard)).toBe(true);
  });

  test('of a quiet log is told every so often that it lives, by a comment that is no event', async () => {
    vi.useRealTimers();
    const log = new EventLog('req-1');
    const reader = new Subscriber(
      log,
      0,
      { writableLength: 0 },
      { onTaken: () => undefined, onGone: () => undefined },
      20,
    );
    const chunks = reader[Symbol.asyncIterator]();
    expect(String((await chunks.next()).value)).toBe(': keep-alive\n\n');
    expect(String((await chunks.next()).value)).toBe(': keep-alive\n\n');
    log.emit('error', ERROR);
    reader.serve();
    expect(idsOf(String((await chunks.next()).value))).toEqual([0]);
    expect((await chunks.next()).done).toBe(true);
  });
});

describe('a reader that does not read', () => {
  test('pauses the generation after a bounded backlog, and lets it go on when it has caught up', async () => {
    const { log, say, join, paces } = setUp();
    const { socket } = join();
    socket.block();
    say(100);
    await settle();
    expect(paces).toEqual([]);
    say(60);
    await settle();
    expect(paces).toEqual(['pause']);
    socket.unblock();
    await settle();
    expect(paces).toEqual(['pause', 'resume']);
    expect(socket.heard).toBe(log.text);
  });

  test('has narration shed long before, and hears how many once it reads again', async () => {
    const { log, say, join } = setUp();
    const { socket } = join();
    socket.block();
    say(80);
    log.emit('narration', NARRATION);
    say(1);
    expect(log.shed).toBe(1);
    socket.unblock();
    await settle();
    log.emit('narration', NARRATION);
    await settle();
    expect(socket.heard).toContain('"shed":1');
  });

  test('ends its job after a while without any progress, and gets as long again for what is left', async () => {
    const { log, job, say, join } = setUp();
    const { socket, reader } = join();
    socket.block();
    say(200);
    await settle();
    vi.advanceTimersByTime(2999);
    expect(job.stopped).toBeUndefined();
    for (let write = 0; write < 3; write += 1) socket.step();
    await settle();
    vi.advanceTimersByTime(2999);
    expect(job.stopped).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(job.stopped?.why).toBe('slow_reader');
    log.emit('error', { ...ERROR, code: 'SLOW_CONSUMER' });
    await settle();
    expect(reader.destroyed).toBe(false);
    vi.advanceTimersByTime(3000);
    expect(reader.destroyed).toBe(true);
  });

  test('is let go alone where others read, and the generation never pauses for it', async () => {
    const { job, say, join, paces } = setUp();
    const [slow, fast] = [join(), join()];
    slow.socket.block();
    for (let i = 0; i < 20; i += 1) {
      say(10);
      await settle();
    }
    expect(paces).toEqual([]);
    const { narrations } = await capture(() => vi.advanceTimersByTime(3000));
    expect([slow.reader.destroyed, fast.reader.destroyed, job.stopped]).toEqual([true, false, undefined]);
    expect(narrations.map(({ event }) => event)).toEqual(['reader.dropped']);
  });

  test('is let go of a job that goes on without it', async () => {
    const { job, say, join } = setUp({ onDisconnect: 'continue' });
    const { socket, reader } = join();
    socket.block();
    say(200);
    await settle();
    vi.advanceTimersByTime(3000);
    expect([reader.destroyed, job.stopped, job.subscribers.paused]).toEqual([true, undefined, false]);
  });
});

describe('a reader that leaves', () => {
  test('stops the job when it was the last one', async () => {
    const { job, say, join } = setUp();
    const [first, second] = [join(), join()];
    say(1);
    first.socket.destroy();
    await settle();
    expect(job.stopped).toBeUndefined();
    second.socket.destroy();
    await settle();
    expect(job.stopped?.why).toBe('reader_left');
  });

  test('leaves a job that goes on for a while, and no longer than that', async () => {
    const { job, say, join } = setUp({ onDisconnect: 'continue' });
    const { narrations } = await capture(async () => {
      join().socket.destroy();
      await settle();
    });
    expect(narrations.map(({ event }) => event)).toEqual(['reader.detached']);
    vi.advanceTimersByTime(4999);
    const again = join();
    say(1);
    await settle();
    vi.advanceTimersByTime(60_000);
    expect(job.stopped).toBeUndefined();
    again.socket.destroy();
    await settle();
    vi.advanceTimersByTime(5000);
    expect(job.stopped?.why).toBe('unclaimed');
  });

  test('of a job that is over changes nothing', async () => {
    const { log, job, join } = setUp({ onDisconnect: 'continue' });
    const { socket } = join();
    log.emit('error', ERROR);
    socket.destroy();
    await settle();
    vi.advanceTimersByTime(60_000);
    expect(job.stopped).toBeUndefined();
  });
});

describe('the log of a running job', () => {
  test('is cut to its bound where readers have had it; one that has not is let go', async () => {
    const { log, say, join } = setUp({ logBytes: 300_000 });
    const [slow, fast] = [join(), join()];
    slow.socket.block();
    for (let i = 0; i < 100; i += 1) {
      say(10);
      await settle();
    }
    expect(log.bytes).toBeLessThanOrEqual(300_000);
    expect(idsOf(fast.socket.heard)).toEqual(Array.from({ length: 1000 }, (_, id) => id));
    expect(slow.reader.destroyed).toBe(true);
  });

  test('pauses its generation where nobody reads, until somebody does', async () => {
    const { log, say, join, paces } = setUp({ onDisconnect: 'continue', logBytes: 300_000 });
    join().socket.destroy();
    await settle();
    say(320);
    expect(paces).toEqual(['pause']);
    expect(log.first).toBe(0);
    const { socket } = join();
    await settle();
    expect(paces).toEqual(['pause', 'resume']);
    expect(idsOf(socket.heard).filter((id, at) => id !== at)).toEqual([]);
    expect(log.bytes).toBeLessThanOrEqual(300_000);
  });
});
