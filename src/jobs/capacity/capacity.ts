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
import type { Demand } from './demand.ts';

/** The parts of the worker that the load is read from. */
export interface CapacityParts {
  readonly config: Pick<Config, 'queue'>;
  readonly state: WorkerState;
  readonly jobs: Pick<JobRegistry, 'size' | 'demand'>;
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
  /**
   * Expected milliseconds until a new job would be accepted; 0 if one would be accepted now. Undefined
   * without an estimate, and while the worker is not ready.
   */
  readonly acceptedInMs: number | undefined;
}

/**
 * The load at this moment. A job with several outputs takes the slots of its sequences, and otherwise one
 * place in the queue, however many outputs it has. A new job waits behind the sequences that were submitted,
 * and before all that are submitted later. A cancelled sequence counts until the engine confirms the cancel:
 * it occupies its slot until then, and its job can be over before that.
 */
export function loadOf({ config, state, jobs, engine, model }: CapacityParts): Load {
  const slots = model()?.facts.slots ?? 0;
  const { left, waitingTokens } = engine.occupancy;
  const { demand } = jobs;
  const isReady = slots > 0 && state.refusal === undefined;
  const ahead = demand.together + left - slots;
  const queued = Math.max(0, jobs.size + demand.extraSlots + left - (state.phase === 'engine_lost' ? 0 : slots));
  const full = isReady && ahead >= 0 && queued >= config.queue;
  const turns = full ? turnsUntilPlace(jobs.size, queued, demand) : 0;
  const estimate = (turnsBefore: number): number | undefined => {
    const wait = isReady ? engine.waitMs(turnsBefore) : undefined;
    return wait === undefined ? undefined : Math.ceil(wait);
  };
  const expectedWaitMs = isReady && ahead < 0 ? 0 : estimate(ahead + turns);
  // The same question has one answer, although time passes between two questions.
  const untilPlace = ahead === 0 ? expectedWaitMs : estimate(turns);
  return {
    accepting: isReady && !full,
    full,
    slotsFree: isReady ? Math.max(0, -ahead) : 0,
    queued,
    queuedPromptTokens: waitingTokens,
    expectedWaitMs,
    acceptedInMs: isReady && !full ? 0 : untilPlace,
  };
}

/**
 * The slots that are freed and taken again by the same jobs before a place in the queue is free. If a job has
 * several slots and another job waits, the other job soon gets one of them. Otherwise a job must end: the one
 * with the fewest sequences, whose turns alternate with those of the other jobs.
 */
function turnsUntilPlace(jobs: number, queued: number, { extraSlots, leastLater }: Demand): number {
  return extraSlots > 0 && queued > 0 ? 0 : leastLater * jobs;
}
