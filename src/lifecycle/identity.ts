/**
 * The identity of one life of a worker process. A pool-manager distinguishes by it two processes with the
 * same worker id, one after the other or side by side.
 */
import { v4 as uuid } from 'uuid';

/**
 * Version of the fields of the callback, of `/health` and of the events. Increases when a field is removed or
 * changes its meaning. Version 2: ids of events contain the run of their job.
 */
export const SCHEMA_VERSION = 2;

export interface WorkerIdentity {
  readonly workerId: string;
  /** UUID of this life of the process. */
  readonly instanceId: string;
  readonly pid: number;
  /** When the process started, in ISO 8601 with milliseconds, UTC. */
  readonly startedAt: string;
  /** Version of the package. */
  readonly version: string;
}

/** The identity of a life in the field names of `/health`, of the callback and of `worker.startup`. */
export const identityFields = ({ instanceId, pid, startedAt }: WorkerIdentity) => ({
  instance_id: instanceId,
  pid,
  started_at: startedAt,
  schema_version: SCHEMA_VERSION,
});

/** The identity of this process. Call it once. */
export function newIdentity(workerId: string, version: string): WorkerIdentity {
  return {
    workerId,
    instanceId: uuid(),
    pid: process.pid,
    startedAt: new Date(performance.timeOrigin).toISOString(),
    version,
  };
}
