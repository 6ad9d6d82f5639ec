/**
 * The load of the worker, and the answer to the question if a new job would be accepted now. Admission,
 * `/health`, `/ready` and the headers of every answer read the same figures. Reads counts only: the time does
 * not depend on the number of jobs.
 */
import type { EngineClient } from '../../bridge/client.ts';
import type { Config } from '../../config/config.ts';
import type { LoadedModel } from '../../lifecycle/load-model.ts';
import type { WorkerState } from '../../lifecycle/state.ts';
import type { JobRegistry } from '../registry.ts';

/** The parts of the worker that the load is read from. */
export interface CapacityParts {
  readonly config: Pick<Config, 'queue'>;
  readonly state: WorkerState;
  readonly jobs: Pick<JobRegistry, 'size'>;
  readonly engine: Pick<EngineClient, 'occupancy' | 'waitMs'>;
  /** Undefined until the model is loaded. */
  readonly model: () => LoadedModel | undefined;
}

export interface Load {
  /** True if a new job would be accepted. */
  readonly accepting: boolean;
  /** True if the worker is ready, but slots and queue are full. */
  readonly full: boolean;
  /** Slots that a new job could take at once; 0 while the worker accepts no jobs. */
  readonly slotsFree: number;
  /** Accepted jobs beyond the number of slots; all of them while there is no engine. */
  readonly queued: number;
  /** Prompt tokens of the sequences that wait for a slot. */
  readonly queuedPromptTokens: number;
  /**
   * Expected milliseconds until a new job has a slot, as a whole number; 0 while a slot is free. Undefined
   * without an estimate, and while the worker is not ready.
   */
  readonly expectedWaitMs: number | undefined;
}

/**
 * The load at this moment. Counts sequences as well as jobs: a cancelled sequence occupies its slot until the
 * engine confirms the cancel, and its job can be over before that.
 */
export function loadOf({ config, state, jobs, engine, model }: CapacityParts): Load {
  const slots = model()?.facts.slots ?? 0;
  const { busy, waiting, waitingTokens } = engine.occupancy;
  const taken = Math.max(jobs.size, busy + waiting);
  const isReady = slots > 0 && state.refusal === undefined;
  const full = isReady && taken >= slots + config.queue;
  const wait = taken < slots ? 0 : engine.waitMs(taken - slots);
  return {
    accepting: isReady && !full,
    full,
    slotsFree: isReady ? Math.max(0, slots - taken) : 0,
    queued: Math.max(0, taken - (state.phase === 'engine_lost' ? 0 : slots)),
    queuedPromptTokens: waitingTokens,
    expectedWaitMs: isReady && wait !== undefined ? Math.ceil(wait) : undefined,
  };
}
