/**
 * The phase of the worker, which decides the answers to probes and new work. The only module that stores the
 * phase.
 */
import type { ErrorCode } from '../contract/errors.ts';

export type Phase = 'starting' | 'ready' | 'engine_lost' | 'draining';

/** The values of `/health`, and the errors that refuse new work. A stall shows only in the phase `ready`. */
const HEALTH = { starting: 'starting', ready: 'healthy', engine_lost: 'unhealthy', draining: 'draining' } as const;
const REFUSAL: Readonly<Record<Phase, ErrorCode | undefined>> = {
  starting: 'LOADING',
  ready: undefined,
  engine_lost: 'WORKER_UNHEALTHY',
  draining: 'DRAINING',
};

export class WorkerState {
  readonly #since = performance.now();
  #phase: Phase = 'starting';
  /**
   * True while the open engine is silent for too long (`engine.stalled`). Not a phase: the engine can be
   * stalled while the worker starts or drains.
   */
  stalled = false;

  get phase(): Phase {
    return this.#phase;
  }

  /** The value of the phase in `/health`. */
  get health(): (typeof HEALTH)[Phase] | 'stalled' {
    return this.stalled && this.#phase === 'ready' ? 'stalled' : HEALTH[this.#phase];
  }

  /** The error that refuses new work; undefined while the worker accepts work. */
  get refusal(): ErrorCode | undefined {
    return this.stalled && this.#phase === 'ready' ? 'ENGINE_STALLED' : REFUSAL[this.#phase];
  }

  /** Seconds since the start of the worker. */
  get uptimeSeconds(): number {
    return (performance.now() - this.#since) / 1000;
  }

  /** Enters `phase`. Draining is final: the phase stays. A lost engine is not stalled any more. */
  enter(phase: Phase): void {
    if (phase === 'engine_lost') this.stalled = false;
    if (this.#phase !== 'draining') this.#phase = phase;
  }
}
