/**
 * Notices that a job decodes at less than half of its best speed for two seconds, and finds the cause. Pure:
 * the clock comes with the steps, the figures of the machine with a function.
 */
import type { MachineSample } from '../../../telemetry/machine-load.ts';
import { LEAST_TOKENS, SPEED_INTERVAL_MS } from './batch-watch.ts';
import type { OwnStep } from './own-step.ts';
import { type BestSpeed, causeOf, type SlowCause } from './slow-cause.ts';
import { Span } from './span.ts';

/** The speed is judged over windows of this many milliseconds, or more, until each output has four tokens. */
const WINDOW_MS = 500;
const LONGEST_WINDOW_MS = 2000;
/** A window that a pause cuts short can be the best one with this many tokens of each output. */
const CUT_TOKENS = 8;
const CUT_MS = 50;
/** The best speed is that of the last minute or two: a long output gets slower by itself. */
const BEST_AGE_MS = 60_000;
/** A phase is slow below this part of the best speed, and ends above the other one. */
const SLOW = 1 / 2;
const RECOVERED = 2 / 3;
/** A sample of the machine serves all requests for this many milliseconds. */
const MACHINE_AGE_MS = 250;

/** A slow phase. Speeds in tokens per second, of all outputs that decode now. */
export interface SlowPhase {
  readonly cause: SlowCause;
  /** Part of the slow-down that the cause explains, from 0 to 1; 0 if the cause is unknown. */
  readonly share: number;
  readonly best: number;
  readonly speed: number;
  /** Milliseconds in which `speed` was measured. */
  readonly windowMs: number;
  readonly pausedMs: number;
  /** Sequences of other requests, on average. */
  readonly others: number;
  readonly promptTokens: number;
  /** Share of the time in which a task waited for a processor; undefined if not measured. */
  readonly pressure: number | undefined;
}

/** A sample of the machine of at most this age in milliseconds; undefined without figures. */
export type SampleMachine = (maxAgeMs: number) => MachineSample | undefined;

export class SlowWatch {
  readonly #sampleMachine: SampleMachine;
  /** The last sample; undefined while the job is paused. */
  #sample: MachineSample | undefined;
  #window = new Span();
  /** The best speeds of the current minute and of the one before. */
  #best: BestSpeed | undefined;
  #earlierBest: BestSpeed | undefined;
  #bestSince: number | undefined;
  /** The slow windows since the phase began, or since its last event. */
  #phase: Span | undefined;
  /** The phase that has ended, was long enough, and waits for its event. */
  #ended: Span | undefined;
  /** The cause that was reported in this phase. */
  #told: SlowCause | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(sampleMachine: SampleMachine) {
    this.#sampleMachine = sampleMachine;
  }

  /**
   * Adds a step. Returns the slow phase, when it is due.
   * @param canTell false: the event would be lost, and waits
   */
  add(step: OwnStep, canTell: () => boolean): SlowPhase | undefined {
    this.#sample ??= this.#sampleMachine(MACHINE_AGE_MS);
    this.#window.add(step);
    const { ms, tokensEach } = this.#window;
    const isComplete = tokensEach >= LEAST_TOKENS || ms >= LONGEST_WINDOW_MS || step.pausedMs > 0;
    if (ms < WINDOW_MS || !isComplete) return undefined;
    this.#closeWindow(step.at);
    const best = this.#bestSpeed;
    const slow = best && this.#due(step.at, best);
    return slow && canTell() ? this.#tell(slow, best, step) : undefined;
  }

  /** Called when the readers pause the job: the speed until now may be the best, and the machine idles. */
  paused(): void {
    this.#noteMachine(0);
    this.#sample = undefined;
    this.#noteBest(this.#window);
  }

  /** Forgets the time since the last window: the engine was silent, which has events of its own. */
  gap(): void {
    this.#window = new Span();
    this.#phase = undefined;
    this.#told = undefined;
    this.#sample = undefined;
  }

  #noteMachine(maxAgeMs: number): void {
    const before = this.#sample;
    if (!before) return;
    this.#sample = this.#sampleMachine(maxAgeMs);
    this.#window.addMachine(before, this.#sample);
  }

  #closeWindow(at: number): void {
    this.#noteMachine(MACHINE_AGE_MS);
    const window = this.#window;
    this.#window = new Span();
    this.#bestSince ??= at;
    if (at - this.#bestSince >= BEST_AGE_MS) {
      this.#earlierBest = this.#best;
      this.#best = undefined;
      this.#bestSince = at;
    }
    this.#noteBest(window);
    const best = this.#bestSpeed;
    if (!best) return;
    // A long pause is a phase of its own: its reader is the cause, however slow the time before it was.
    if (window.pausedMs >= SPEED_INTERVAL_MS) this.#phase = undefined;
    if (window.rate < SLOW * best.rate || (this.#phase && window.rate < RECOVERED * best.rate)) {
      this.#phase ??= new Span();
      this.#phase.merge(window);
    } else this.#endPhase();
  }

  #endPhase(): void {
    if (this.#phase && this.#told === undefined && isLong(this.#phase)) this.#ended = this.#phase;
    this.#phase = undefined;
    this.#told = undefined;
  }

  get #bestSpeed(): BestSpeed | undefined {
    const [now, earlier] = [this.#best, this.#earlierBest];
    return now && earlier ? (now.rate >= earlier.rate ? now : earlier) : (now ?? earlier);
  }

  #noteBest(window: Span): void {
    if (!isMeasured(window)) return;
    const { plainRate: rate, others, outputs, processors } = window;
    if (!this.#best || rate > this.#best.rate) this.#best = { rate, others, outputs, processors };
  }

  /** The phase whose event is due: once for each phase, and again for another measured cause. */
  #due(at: number, best: BestSpeed): Span | undefined {
    if (at - this.#toldAt < SPEED_INTERVAL_MS) return undefined;
    if (this.#ended) return this.#ended;
    const phase = this.#phase;
    if (!phase || !isLong(phase) || phase.rate >= SLOW * best.rate) return undefined;
    if (this.#told === undefined) return phase;
    const { cause } = causeOf(phase, best);
    if (cause !== this.#told && cause !== 'unknown') return phase;
    this.#phase = new Span(); // The next windows are judged alone.
    return undefined;
  }

  #tell(slow: Span, best: BestSpeed, { at, outputs }: OwnStep): SlowPhase {
    const { cause, share } = causeOf(slow, best);
    this.#toldAt = at;
    if (slow === this.#phase) {
      this.#phase = new Span();
      this.#told = cause;
    }
    this.#ended = undefined;
    const { rate, ms, pausedMs, others, promptTokens, pressure } = slow;
    const perSecond = 1000 * outputs;
    const speeds = { best: best.rate * perSecond, speed: rate * perSecond };
    return { cause, share, ...speeds, windowMs: ms, pausedMs, others, promptTokens, pressure };
  }
}

const isLong = ({ ms }: Span): boolean => ms >= SPEED_INTERVAL_MS;

/** True if a window has enough tokens for a speed. Its time begins and ends with a token, or with a pause. */
function isMeasured({ ms, plainTokensEach }: Span): boolean {
  if (ms >= LONGEST_WINDOW_MS) return plainTokensEach >= 2;
  return ms >= WINDOW_MS ? plainTokensEach >= LEAST_TOKENS : ms >= CUT_MS && plainTokensEach >= CUT_TOKENS;
}
