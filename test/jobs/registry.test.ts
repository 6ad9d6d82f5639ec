/** The registry of jobs: ids, expiry and memory of finished jobs, and the share of running ones. */
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Job } from '../../src/jobs/job.ts';
import { JobRegistry } from '../../src/jobs/registry.ts';
import { capture } from '../../src/narration/narrate.ts';
import { fakeJob } from '../support/fakes.ts';
import { ERROR, STARTED } from './events.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const jobsOf = (bytes = 1e6): JobRegistry => new JobRegistry({ ttlMs: 60_000, bytes });
const job = (): Job => fakeJob('req-1', { awaitsStart: true });

/** Adds a job that ends at once, with about `bytes` bytes of events. */
function finish(jobs: JobRegistry, jobId: string, bytes = 0): Job {
  const done = job();
  jobs.add(jobId, done);
  done.log.emit(STARTED);
  if (bytes > 0) done.log.emit({ type: 'token', t: 'x'.repeat(bytes), i: 0 });
  done.log.emit(ERROR);
  jobs.remove(jobId);
  return done;
}

test('refuses a second job with the id of a running one, and accepts it after the end of the first', () => {
  const jobs = jobsOf();
  jobs.add('a', job());
  expect(() => jobs.add('a', job())).toThrow(expect.objectContaining({ code: 'DUPLICATE_JOB' }));
  jobs.remove('a');
  expect(() => jobs.add('a', job())).not.toThrow();
});

test('cancel is idempotent, and distinguishes running, finished and unknown jobs', () => {
  const jobs = jobsOf();
  const running = job();
  jobs.add('a', running);
  expect([jobs.cancel('a'), jobs.cancel('a')]).toEqual(['cancelling', 'cancelling']);
  expect(running.signal.aborted).toBe(true);
  jobs.remove('a');
  expect(jobs.cancel('a')).toBe('finished');
  expect(jobs.cancel('b')).toBeUndefined();
});

test('a job keeps the first reason to stop', () => {
  const stopped = job();
  stopped.stop('timeout');
  stopped.stop('cancelled');
  expect(stopped.stopped?.why).toBe('timeout');
});

test('idle resolves when the last job has left, and at once without jobs', async () => {
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

describe('a finished job', () => {
  test('is found until its log expires, then its id is `gone`; another id is unknown', () => {
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

  test('is dropped when the memory of logs is full, the oldest first: all finished logs use at most half of it', () => {
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

  test('keeps nothing of its job in memory: joins that wait are reported when the log is dropped', async () => {
    const { narrations } = await capture(() => {
      const jobs = jobsOf();
      const done = finish(jobs, 'read');
      for (let time = 0; time < 3; time += 1) done.subscribers.join(0, new PassThrough()).destroy();
      vi.advanceTimersByTime(1000);
      finish(jobs, 'too-much', 600_000);
    });
    const joins = narrations.filter(({ event }) => event === 'reader.returned');
    expect(joins).toMatchObject([{ times: 1 }, { times: 2 }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is forgotten when its id is used again', () => {
    const jobs = jobsOf();
    finish(jobs, 'again');
    const second = job();
    jobs.add('again', second);
    expect(jobs.find('again')).toBe(second);
    vi.advanceTimersByTime(60_000);
    expect(jobs.find('again')).toBe(second);
    expect(jobs.cancel('again')).toBe('cancelling');
  });

  test('is `gone` at once if it was refused before its first event', () => {
    const jobs = jobsOf();
    const refused = job();
    jobs.add('refused', refused);
    refused.log.close();
    jobs.remove('refused');
    expect(jobs.find('refused')).toBe('gone');
  });
});

test('remembers 10 000 ids and forgets the oldest', () => {
  const jobs = jobsOf();
  for (let index = 0; index <= 10_000; index += 1) {
    jobs.add(`job-${index}`, job());
    jobs.remove(`job-${index}`);
  }
  expect(jobs.cancel('job-0')).toBeUndefined();
  expect(jobs.cancel('job-1')).toBe('finished');
  expect(jobs.cancel('job-10000')).toBe('finished');
});

describe('the run of a job id', () => {
  test('is that of the job, also without its log; a new job has another one', () => {
    const jobs = jobsOf();
    const first = finish(jobs, 'a');
    expect(jobs.runOf('a')).toBe(first.runId);
    vi.advanceTimersByTime(60_000);
    expect([jobs.find('a'), jobs.runOf('a')]).toEqual(['gone', first.runId]);
    const second = finish(jobs, 'a');
    expect(second.runId).not.toBe(first.runId);
    expect([jobs.runOf('a'), jobs.runOf('b')]).toEqual([second.runId, undefined]);
  });

  test('is marked as reused after a run with events: also after its log has expired, and for every later run', () => {
    const jobs = jobsOf();
    expect(jobs.isReused(finish(jobs, 'a'))).toBe(false);
    expect(jobs.isReused(finish(jobs, 'a'))).toBe(true);
    expect(jobs.isReused(finish(jobs, 'b'))).toBe(false);
    vi.advanceTimersByTime(60_000);
    expect([jobs.isReused(finish(jobs, 'a')), jobs.isReused(finish(jobs, 'b'))]).toEqual([true, true]);
  });

  test('is not marked after a run that was refused before its first event, unless an earlier one had events', () => {
    const jobs = jobsOf();
    const refuse = (jobId: string): void => {
      const refused = job();
      jobs.add(jobId, refused);
      refused.log.close();
      jobs.remove(jobId);
    };
    refuse('a');
    expect(jobs.isReused(finish(jobs, 'a'))).toBe(false);
    refuse('a');
    expect(jobs.isReused(finish(jobs, 'a'))).toBe(true);
  });
});

test('finished jobs are listed, the last one first, and at most as many as allowed: the oldest are dropped', () => {
  const jobs = new JobRegistry({ ttlMs: 60_000, bytes: 1e6, jobs: 3 });
  const all = Array.from({ length: 5 }, (_, index) => finish(jobs, `job-${index}`));
  expect(jobs.finished).toEqual(all.slice(2).reverse());
  expect([jobs.find('job-1'), jobs.find('job-2')]).toEqual(['gone', all[2]]);
});

test('running jobs share half of the memory, each with at least 256 KiB', () => {
  expect(jobsOf(64 * 2 ** 20).share(16)).toBe(2 * 2 ** 20);
  expect(jobsOf(2 ** 20).share(256)).toBe(256 * 1024);
});
