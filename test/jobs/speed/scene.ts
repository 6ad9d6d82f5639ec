/** A generation whose steps a test plays on its own clock, and the changes of speed that are noticed. */
import type { Backpressure, Silence, StepLoad } from '../../../src/bridge/sequence-inbox.ts';
import type { BatchChange } from '../../../src/jobs/generation/speed/batch-watch.ts';
import type { SlowPhase } from '../../../src/jobs/generation/speed/slow-watch.ts';
import { SpeedWatch } from '../../../src/jobs/generation/speed/speed-watch.ts';
import type { MachineSample } from '../../../src/telemetry/machine-load.ts';
import { fakeJob } from '../../support/fakes.ts';

/** The steps of a time. Times in milliseconds. */
export interface Steps {
  /** Time from one step to the next; 10 if absent. */
  readonly each?: number;
  /** Time that the engine says a step took; `each` if absent. */
  readonly stepMs?: number;
  /** Sequences of other requests that decode. */
  readonly others?: number;
  /** Outputs of the job that decode; 1 if absent. */
  readonly outputs?: number;
  /** Tokens of each output in a step; 1 if absent. */
  readonly tokens?: number;
  /** The prompts of others in each step. */
  readonly prompt?: { readonly tokens: number; readonly ms: number };
  /** Processors that the engine gets, and share of the time in which tasks wait; 1 and 0 if absent. */
  readonly processors?: number;
  readonly pressure?: number;
}

export class Scene {
  now = 1000;
  readonly changes: (BatchChange & { readonly at: number })[] = [];
  readonly phases: (SlowPhase & { readonly at: number })[] = [];
  /** True while the log sheds narrations. */
  lagging = false;
  readonly #watch: SpeedWatch;
  #machine: MachineSample = { at: 0, pressureMs: 0, pid: 1, engineMs: 0 };
  #pause: (paused: boolean) => void = () => undefined;

  constructor({ machine = true } = {}) {
    const { context } = fakeJob('speed');
    const scene = this;
    const log = {
      get lagging() {
        return scene.lagging;
      },
      over: false,
    };
    const job = { context, log, stopped: undefined } as unknown as ConstructorParameters<typeof SpeedWatch>[0];
    const listener = {
      batchChanged: (change: BatchChange) => void this.changes.push({ ...change, at: this.now }),
      slowed: (phase: SlowPhase) => void this.phases.push({ ...phase, at: this.now }),
    };
    const sample = machine ? () => ({ ...this.#machine, at: this.now }) : undefined;
    this.#watch = new SpeedWatch(job, listener, sample, () => this.now);
    const onChange: Backpressure['onChange'] = (changed) => {
      this.#pause = changed;
    };
    this.#watch.follow({ paused: false, onChange });
  }

  /** The first token of an output, from the run of its prompt. */
  first(others = 0): void {
    const load: StepLoad = { batch: others + 1, stepMs: 5, prefill: { sequences: 1, tokens: 4, ms: 5 } };
    this.#watch.onStep({ tokensOut: 0 }, stepOf(load, 1));
  }

  /** Plays steps for `ms` milliseconds. */
  run(ms: number, steps: Steps = {}): void {
    const { each = 10, stepMs = each, others = 0, outputs = 1, tokens = 1, prompt } = steps;
    for (const until = this.now + ms; this.now < until; ) {
      this.idle(each, steps);
      const batch = others + outputs + (prompt ? 1 : 0);
      const load: StepLoad = { batch, stepMs, ...(prompt && { prefill: { sequences: 1, ...prompt } }) };
      for (let output = 0; output < outputs; output += 1) this.#watch.onStep({ tokensOut: 9 }, stepOf(load, tokens));
    }
  }

  /** Lets time pass without a step. */
  idle(ms: number, { processors = 1, pressure = 0 }: Pick<Steps, 'processors' | 'pressure'> = {}): void {
    this.now += ms;
    const { pressureMs, engineMs } = this.#machine;
    this.#machine = { ...this.#machine, pressureMs: pressureMs + pressure * ms, engineMs: engineMs + processors * ms };
  }

  /** The readers pause the job for `ms` milliseconds. */
  async pause(ms: number): Promise<void> {
    this.#pause(true);
    await Promise.resolve();
    this.idle(ms, { processors: 0 });
    this.#pause(false);
    await Promise.resolve();
  }

  /** The engine is silent for too long, and this is told. */
  silence(ms: number): void {
    const report = { id: 1, notes: [], tokens: [] };
    const tell = (silence: Silence): void => this.#watch.onStep({ tokensOut: 9 }, { batch: 0, report, silence });
    tell({ state: 'stalled', ms: ms / 2 });
    this.idle(ms, { processors: 0 });
    tell({ state: 'recovered', ms });
  }

  /** The job is interrupted for `ms` milliseconds, and goes on with a token. */
  interruption(ms: number): void {
    const report = { id: 1, notes: [], tokens: [] };
    this.#watch.onStep({ tokensOut: 9 }, { batch: 0, report, interrupted: 'signal SIGKILL' });
    this.idle(ms, { processors: 0 });
    const load: StepLoad = { batch: 1, stepMs: 5, prefill: { sequences: 1, tokens: 400, ms: 5 } };
    this.#watch.onStep({ tokensOut: 9 }, { ...stepOf(load, 1), resumed: { recomputed: 400, lostMs: ms } });
  }
}

const stepOf = (load: StepLoad, tokens: number) => ({
  batch: load.batch,
  load,
  report: { id: 1, notes: [], tokens: Array.from({ length: tokens }, (_, id) => ({ id })) },
});
