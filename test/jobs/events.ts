/** Events to write into a log, and functions that parse the log's text. */
import type { EventBody } from '../../src/contract/events.ts';

export const NARRATION: EventBody<'narration'> = {
  type: 'narration',
  event: 'request.queued',
  level: 'INFO',
  actor: 'inference-engine',
  action: 'queue',
  target: 'job-1',
  human: 'Engine queues the request at position 1',
  worker_id: 'w',
};
export const ERROR: EventBody<'error'> = {
  type: 'error',
  code: 'CANCELLED',
  message: 'The job was cancelled.',
  retriable: false,
  retry: 'never',
};
export const STARTED: EventBody<'started'> = {
  type: 'started',
  job_id: 'job-1',
  run_id: 'run1',
  model: 'haiku',
  started_at: new Date().toISOString(),
  seed: 1,
  worker_id: 'w',
};
export const END: EventBody<'end'> = {
  type: 'end',
  tokens_in: 1,
  tokens_out: 2,
  decode_time_ms: 1,
  time_to_first_token_ms: 1,
  queue_ms: 0,
  cached_tokens: 0,
  stop_reason: 'eos',
  seed: 1,
};

export const dataOf = (text: string): Record<string, unknown>[] =>
  [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1] ?? ''));
export const idsOf = (text: string): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
