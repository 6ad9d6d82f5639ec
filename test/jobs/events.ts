/** Events to write into a log, and functions that parse the log's text. */
import { messagesIn } from '../../src/client/client.ts';
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
  messagesIn(text).map(({ data }) => JSON.parse(data) as Record<string, unknown>);
export const idsOf = (text: string): number[] => messagesIn(text).map(({ id }) => Number(id));
