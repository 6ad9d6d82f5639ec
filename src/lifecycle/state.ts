/**
 * What phase the worker is in, and so what it answers to probes and new work. The one owner of this fact.
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

  /** The word `/health` uses for the phase. */
  get health(): (typeof HEALTH)[Phase] {
    return HEALTH[this.#phase];
  }

  /** The error that new work is refused with; undefined = it is welcome. */
  get refusal(): ErrorCode | undefined {
    return REFUSAL[this.#phase];
  }

  /** Seconds since the process began its work. */
  get uptimeSeconds(): number {
    return (performance.now() - this.#since) / 1000;
  }

  /** Goes to `phase`. Draining is final: what comes later does not undo it. */
  enter(phase: Phase): void {
    if (this.#phase !== 'draining') this.#phase = phase;
  }
}
