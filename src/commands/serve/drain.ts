/**
 * The two waits of a drain: for the running jobs, and for the clients that read the last events.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { JobRegistry } from '../../jobs/registry.ts';
import { narrate, runIn } from '../../narration/narrate.ts';

/**
 * Time for jobs to end with an error after the deadline of the drain. Longer than the wait for the engine's
 * confirmation of a cancel.
 */
export const LAST_EVENTS_MS = 2000;
/** Time between two looks for connections that have become idle. */
const SWEEP_MS = 25;

/**
 * Waits for the running jobs, at most `timeoutMs` milliseconds. Then stops them and waits for their last
 * events.
 */
export async function finishJobs(jobs: JobRegistry, reason: string, timeoutMs: number): Promise<void> {
  narrate('worker.draining', { reason, requests_running: jobs.size, timeout_ms: timeoutMs });
  for (const job of jobs) runIn(job.context, () => narrate('request.draining', { timeout_ms: timeoutMs }));
  await within(timeoutMs, jobs.idle());
  for (const job of jobs) job.stop('draining');
  await within(LAST_EVENTS_MS, jobs.idle());
}

/**
 * Closes the server. A keep-alive connection is closed as soon as its stream has ended. A client that does
 * not read its last events is disconnected after two seconds.
 */
export async function closeServer(app: FastifyInstance): Promise<void> {
  const closed = app.close();
  // Node closes idle connections only once, when the server closes: a stream that ends later stays connected.
  const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS);
  await within(LAST_EVENTS_MS, closed);
  clearInterval(sweep);
  app.server.closeAllConnections();
  await closed;
}

/** Resolves when `work` does, or after `ms` milliseconds. Rejects if `work` rejects first. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([work, sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined)]);
  timer.abort();
}
