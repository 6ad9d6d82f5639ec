/**
 * The phase of the worker, which decides the answers to probes and new work. The only module that stores the
 * phase.
 */
import type { ErrorCode } from '../contract/errors.ts';

export type Phase = 'starting' | 'ready' | 'engine_lost' | 'draining';

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

  get phase(): Phase {
    return this.#phase;
  }

  /** The value of the phase in `/health`. */
  get health(): (typeof HEALTH)[Phase] {
    return HEALTH[this.#phase];
  }

  /** The error that refuses new work; undefined while the worker accepts work. */
  get refusal(): ErrorCode | undefined {
    return REFUSAL[this.#phase];
  }

  /** Seconds since the start of the worker. */
  get uptimeSeconds(): number {
    return (performance.now() - this.#since) / 1000;
  }

  /** Enters `phase`. Draining is final: later calls have no effect. */
  enter(phase: Phase): void {
    if (this.#phase !== 'draining') this.#phase = phase;
  }
}
