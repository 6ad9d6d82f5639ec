/** Events to write into a log, and what is read out of its text. */
import type { EventData } from '../../src/contract/events.ts';

export const NARRATION: EventData<'narration'> = {
  event: 'request.queued',
  level: 'INFO',
  actor: 'inference-engine',
  action: 'queue',
  target: 'job-1',
  human: 'Engine queues the request at position 1',
  worker_id: 'w',
};
export const ERROR: EventData<'error'> = { code: 'CANCELLED', message: 'The job was cancelled.', retriable: false };
export const STARTED: EventData<'started'> = {
  job_id: 'job-1',
  model: 'haiku',
  started_at: new Date().toISOString(),
  seed: 1,
  worker_id: 'w',
};

export const dataOf = (text: string): Record<string, unknown>[] =>
  [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1] ?? ''));
export const idsOf = (text: string): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
