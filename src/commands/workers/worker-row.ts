/**
 * The facts about one worker, from its record and from its answers. Another program can listen at the
 * address, so every field of an answer is checked. Pure.
 */
import type { Health } from '../../contract/answers.ts';
import type { WorkerRecord } from '../../lifecycle/local/worker-record.ts';

/**
 * The state of a worker as it reports it, or the reason why it reports none: `needs_token` refuses this
 * caller, `no_answer` does not answer in time, `not_a_worker` is another program.
 */
export type WorkerStatus = Health['status'] | 'needs_token' | 'no_answer' | 'not_a_worker';

/** One worker, as `ps --json` prints it. Sizes in bytes. A field is absent if it is not known. */
export interface WorkerRow {
  readonly url: string;
  readonly status: WorkerStatus;
  /** Why there is no answer. */
  readonly problem?: string | undefined;
  readonly worker_id?: string | undefined;
  readonly instance_id?: string | undefined;
  readonly pid?: number | undefined;
  readonly version?: string | undefined;
  readonly started_at?: string | undefined;
  readonly uptime_seconds?: number | undefined;
  readonly model?: string | undefined;
  readonly dtype?: string | undefined;
  readonly device?: string | undefined;
  readonly context_length?: number | undefined;
  readonly slots?: { readonly total: number; readonly busy: number } | undefined;
  readonly queue?: { readonly length: number; readonly limit: number } | undefined;
  readonly accepting?: boolean | undefined;
  /** Over about one second; absent while the worker reports no metrics. */
  readonly tokens_per_sec?: number | undefined;
  readonly memory_bytes?: number | undefined;
  readonly vram_bytes?: number | undefined;
  /** Style of tool calls of the chat template; absent without a template. */
  readonly tools?: string | undefined;
}

const STATUSES: readonly string[] = [
  'starting',
  'healthy',
  'stalled',
  'draining',
  'unhealthy',
] satisfies WorkerStatus[];
/** Longest text of a field, in characters. */
const MAX_TEXT = 200;

/** The facts of a record, for a worker that has not answered. */
export const recordFacts = ({ worker_id, instance_id, pid, version, started_at }: WorkerRecord) => ({
  ...{ worker_id, instance_id, pid, version, started_at },
  uptime_seconds: Math.max(0, (Date.now() - Date.parse(started_at)) / 1000),
});

/** The facts of an answer of `GET /health`; undefined if it is not one of a worker. */
export function healthFacts(answer: unknown): Omit<WorkerRow, 'url'> | undefined {
  const health = fieldsOf(answer);
  const status = textOf(health['status']);
  if (textOf(health['worker_id']) === undefined || status === undefined || !STATUSES.includes(status)) return undefined;
  const [slots, queue] = [fieldsOf(health['slots']), fieldsOf(health['queue'])];
  return {
    status: status as WorkerStatus,
    worker_id: textOf(health['worker_id']),
    instance_id: textOf(health['instance_id']),
    pid: numberOf(health['pid']),
    version: textOf(health['version']),
    started_at: textOf(health['started_at']),
    uptime_seconds: numberOf(health['uptime_seconds']),
    model: textOf(health['model']),
    dtype: textOf(health['quant_kind']),
    device: textOf(health['device']),
    context_length: numberOf(health['context_length']),
    slots: { total: numberOf(slots['total']) ?? 0, busy: numberOf(slots['busy']) ?? 0 },
    queue: { length: numberOf(queue['length']) ?? 0, limit: numberOf(queue['limit']) ?? 0 },
    accepting: health['accepting'] === true,
    memory_bytes: numberOf(health['memory_bytes']),
    vram_bytes: numberOf(health['vram_bytes']),
    tools: textOf(fieldsOf(health['chat_template'])['tools']),
  };
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, MAX_TEXT) : undefined;

const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
