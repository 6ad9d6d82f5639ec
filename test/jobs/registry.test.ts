import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EventLog } from '../../src/jobs/event-log.ts';
import { Job } from '../../src/jobs/job.ts';
import { JobRegistry } from '../../src/jobs/registry.ts';
import { ERROR, STARTED } from './events.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const TERMS = { onDisconnect: 'cancel', detachMs: 1000, slowMs: 1000, logBytes: 1e6 } as const;
const jobsOf = (bytes = 1e6): JobRegistry => new JobRegistry({ ttlMs: 60_000, bytes });
const job = (): Job => new Job({ correlationId: 'req-1' }, new EventLog('req-1', { awaitsStart: true }), TERMS);

/** A job that runs and is over at once, with about `bytes` of events. */
function finish(jobs: JobRegistry, jobId: string, bytes = 0): Job {
  const done = job();
  jobs.add(jobId, done);
  done.log.emit('started', STARTED);
  if (bytes > 0) done.log.emit('token', { t: 'x'.repeat(bytes), i: 0 });
  done.log.emit('error', ERROR);
  jobs.remove(jobId);
  return done;
}

test('a second job with the id of a running one is refused, after its end it is welcome', () => {
  const jobs = jobsOf();
  jobs.add('a', job());
  expect(() => jobs.add('a', job())).toThrow(expect.objectContaining({ code: 'DUPLICATE_JOB' }));
  jobs.remove('a');
  expect(() => jobs.add('a', job())).not.toThrow();
});

test('cancelling is idempotent and knows running, finished and unknown jobs apart', () => {
  const jobs = jobsOf();
  const running = job();
  jobs.add('a', running);
  expect([jobs.cancel('a'), jobs.cancel('a')]).toEqual(['cancelling', 'cancelling']);
  expect(running.signal.aborted).toBe(true);
  jobs.remove('a');
  expect(jobs.cancel('a')).toBe('finished');
  expect(jobs.cancel('b')).toBeUndefined();
});

test('the first reason to stop counts', () => {
  const stopped = job();
  stopped.stop('timeout');
  stopped.stop('cancelled');
  expect(stopped.stopped?.why).toBe('timeout');
});

test('idle is told when the last job has left, and at once when there is none', async () => {
  const jobs = jobsOf();
  await jobs.idle();
  jobs.add('a', job());
  jobs.add('b', job());
  let idle = false;
  const waiting = jobs.idle().then(() => {
    idle = true;
  });
  jobs.remove('a');
  await Promise.resolve();
  expect(idle).toBe(false);
  jobs.remove('b');
  await waiting;
});

describe('a job that is over', () => {
  test('can be found until its time is up, then it is gone, and one that never was is unknown', () => {
    const jobs = jobsOf();
    const first = finish(jobs, 'first');
    vi.advanceTimersByTime(30_000);
    const second = finish(jobs, 'second');
    expect([jobs.find('first'), jobs.find('second'), jobs.find('third')]).toEqual([first, second, undefined]);
    vi.advanceTimersByTime(30_000);
    expect([jobs.find('first'), jobs.find('second')]).toEqual(['gone', second]);
    vi.advanceTimersByTime(30_000);
    expect(jobs.find('second')).toBe('gone');
    expect(jobs.logBytes).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('makes room when the memory of logs is full: the oldest goes first, and all together stay within the half', () => {
    const jobs = jobsOf(1e6);
    for (let index = 0; index < 20; index += 1) {
      finish(jobs, `job-${index}`, 90_000);
      expect(jobs.logBytes).toBeLessThanOrEqual(500_000);
    }
    const found = Array.from({ length: 20 }, (_, index) => jobs.find(`job-${index}`));
    expect(found.slice(0, 15)).toEqual(Array(15).fill('gone'));
    expect(found.slice(15).every((one) => one instanceof Job)).toBe(true);
    expect(jobs.cancel('job-0')).toBe('finished');
  });

  test('is forgotten when its id comes again', () => {
    const jobs = jobsOf();
    finish(jobs, 'again');
    const second = job();
    jobs.add('again', second);
    expect(jobs.find('again')).toBe(second);
    vi.advanceTimersByTime(60_000);
    expect(jobs.find('again')).toBe(second);
    expect(jobs.cancel('again')).toBe('cancelling');
  });

  test('and was refused before its first event has nothing to read', () => {
    const jobs = jobsOf();
    const refused = job();
    jobs.add('refused', refused);
    refused.log.close();
    jobs.remove('refused');
    expect(jobs.find('refused')).toBe('gone');
  });
});

test('the memory of ids is bounded: the oldest are forgotten', () => {
  const jobs = jobsOf();
  for (let index = 0; index <= 10_000; index += 1) {
    jobs.add(`job-${index}`, job());
    jobs.remove(`job-${index}`);
  }
  expect(jobs.cancel('job-0')).toBeUndefined();
  expect(jobs.cancel('job-1')).toBe('finished');
  expect(jobs.cancel('job-10000')).toBe('finished');
});

test('the running jobs share half of the memory, each with room for a short output at least', () => {
  expect(jobsOf(64 * 2 ** 20).share(16)).toBe(2 * 2 ** 20);
  expect(jobsOf(2 ** 20).share(256)).toBe(256 * 1024);
});
