import { expect, test } from 'vitest';
import { Job, Jobs } from '../../src/http/jobs.ts';
import { EventStream } from '../../src/http/stream.ts';

const job = (): Job => new Job({ correlationId: 'req-1' }, new EventStream('req-1'));

test('a second job with the id of a running one is refused, after its end it is welcome', () => {
  const jobs = new Jobs();
  jobs.add('a', job());
  expect(() => jobs.add('a', job())).toThrow(expect.objectContaining({ code: 'DUPLICATE_JOB' }));
  jobs.remove('a');
  expect(() => jobs.add('a', job())).not.toThrow();
});

test('cancelling is idempotent and knows running, finished and unknown jobs apart', () => {
  const jobs = new Jobs();
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
  const jobs = new Jobs();
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

test('the memory of finished jobs is bounded: the oldest are forgotten', () => {
  const jobs = new Jobs();
  for (let index = 0; index <= 10_000; index += 1) {
    jobs.add(`job-${index}`, job());
    jobs.remove(`job-${index}`);
  }
  expect(jobs.cancel('job-0')).toBeUndefined();
  expect(jobs.cancel('job-1')).toBe('finished');
  expect(jobs.cancel('job-10000')).toBe('finished');
});
