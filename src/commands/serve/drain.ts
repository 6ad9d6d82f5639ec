/**
 * The waits of a drain: for the running jobs, and for the parts of the worker that close. Each has its share
 * of one budget (docs/decisions/0025-drain-budget.md).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { JobRegistry } from '../../jobs/registry.ts';
import { narrate, runIn } from '../../narration/narrate.ts';
import type { DrainBudget } from './drain-budget.ts';

/** Share of the time of `closeServer` for Node.js to report the end of connections that were destroyed. */
const DESTROYED_SHARE = 1 / 10;

/** Waits for the running jobs until their time is over. Then stops them and waits for their last events. */
export async function finishJobs(jobs: JobRegistry, reason: string, budget: DrainBudget): Promise<void> {
  const timeout_ms = budget.jobsMs;
  narrate('worker.draining', { reason, requests_running: jobs.size, timeout_ms });
  for (const job of jobs) runIn(job.context, () => narrate('request.draining', { timeout_ms }));
  await within(budget.leftMs('jobs'), jobs.idle());
  for (const job of jobs) job.stop('draining');
  await within(budget.leftMs('cancel'), jobs.idle());
}

/**
 * Closes the server: refuses new connections, answers the requests of open ones for a moment, and ends each
 * connection when its answer has ended (http/connections.ts). Destroys connections whose client does not read
 * its last events in time.
 * @param ms longest time, in milliseconds
 */
export async function closeServer(app: FastifyInstance, ms: number): Promise<void> {
  const closed = app.close();
  await within(ms * (1 - DESTROYED_SHARE), closed);
  app.server.closeAllConnections();
  await within(ms * DESTROYED_SHARE, closed);
}

/** Resolves when `work` does, or after `ms` milliseconds. Rejects if `work` rejects first. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([work, sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined)]);
  timer.abort();
}
