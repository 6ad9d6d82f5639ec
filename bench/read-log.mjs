/** The event log of a job with one subscriber, without a worker. */
import { Writable } from 'node:stream';
import { sseEncoder } from '../dist/http/sse.js';
import { EventLog } from '../dist/jobs/event-log.js';
import { Job } from '../dist/jobs/job.js';

/** The share of one slot in the memory of all logs by default. */
const LOG_BYTES = 2 * 2 ** 20;

/** A log whose subscriber is piped into `answer`. */
export function logReadInto(answer) {
  const policy = { onDisconnect: 'cancel', detachMs: 30_000, slowMs: 30_000, logBytes: LOG_BYTES };
  const { log, subscribers } = new Job({ correlationId: 'req-1' }, new EventLog(sseEncoder('req-1')), policy);
  subscribers.add(0, answer).pipe(answer);
  return log;
}

/** Takes all bytes and keeps none. */
export const nowhere = () => new Writable({ write: (_chunk, _encoding, done) => done() });
