/**
 * The steps of the engine as one job sees them. The reports of several outputs of the job become one step;
 * pauses and times without a decoding output are measured. Narrates nothing.
 */
import type { StepLoad } from '../../../bridge/sequence-inbox.ts';

/** One step in which outputs of the job decoded. Times in milliseconds. */
export interface OwnStep {
  /** Arrival of its report. */
  readonly at: number;
  /** Time since the previous step of the job. */
  readonly ms: number;
  /** The part of that time in which the readers paused the job. */
  readonly pausedMs: number;
  /** Time that the engine needed for the step. */
  readonly stepMs: number;
  /** Outputs of the job that decoded, at least one. */
  readonly outputs: number;
  /** Tokens of these outputs. A draft gives an output several tokens in one step. */
  readonly tokens: number;
  /** Sequences of other requests that decoded. */
  readonly others: number;
  /** The prompts of other requests in the step. */
  readonly promptTokens: number;
  readonly promptMs: number;
}

/** The part of one output of the job in a step. */
export interface OutputPart {
  /** True if the output had a token before this step: its first token comes from the run of its prompt. */
  readonly decodes: boolean;
  readonly tokens: number;
  /** True if the step computed a part of the prompt of this output. */
  readonly prefills: boolean;
}

export class OwnSteps {
  readonly #now: () => number;
  readonly #onStep: (step: OwnStep) => void;
  /** The step whose parts arrive. */
  #load: StepLoad | undefined;
  #at = 0;
  #outputs = 0;
  #tokens = 0;
  #prefills = false;
  /** Arrival of the previous step; undefined if no output decoded in it. */
  #last: number | undefined;
  #lastOutputs = 0;
  #lastOthers = 0;
  #pausedAt: number | undefined;
  /** Pauses that ended since the previous step. */
  #pausedMs = 0;

  /** @param onStep called with each step, when the first part of a later step arrives, or at a pause */
  constructor(now: () => number, onStep: (step: OwnStep) => void) {
    this.#now = now;
    this.#onStep = onStep;
  }

  /** Adds the part of an output in a step. The parts of a step come one after another. */
  add(load: StepLoad, { decodes, tokens, prefills }: OutputPart): void {
    if (load !== this.#load) {
      this.flush();
      this.#load = load;
      this.#at = this.#now();
    }
    this.#prefills ||= prefills;
    if (!decodes) return;
    this.#outputs += 1;
    this.#tokens += tokens;
  }

  /** Passes on the step whose parts have arrived. */
  flush(): void {
    const load = this.#load;
    if (!load) return;
    const at = this.#at;
    const outputs = this.#outputs;
    const tokens = this.#tokens;
    const prefills = this.#prefills;
    this.#load = undefined;
    this.#outputs = 0;
    this.#tokens = 0;
    this.#prefills = false;
    if (outputs === 0) {
      // A first token begins the time of its output. Each step has parts of the other outputs that decode.
      this.gap(at);
      return;
    }
    const { batch, stepMs, prefill } = load;
    this.#lastOutputs = outputs;
    this.#lastOthers = Math.max(0, batch - (prefill?.sequences ?? 0) - outputs);
    const others = prefills ? undefined : prefill;
    this.#pass(at, { stepMs, tokens, promptTokens: others?.tokens ?? 0, promptMs: others?.ms ?? 0 });
  }

  /** Called when the readers pause the job, or let it continue. */
  pause(paused: boolean): void {
    this.flush();
    const now = this.#now();
    if (paused) this.#pausedAt ??= now;
    else if (this.#pausedAt !== undefined) {
      this.#pausedMs += now - this.#pausedAt;
      this.#pausedAt = undefined;
      // The time of the pause counts at once, and not only at the next step.
      this.#pass(now, { stepMs: 0, tokens: 0, promptTokens: 0, promptMs: 0 });
    }
  }

  /** The time since the previous step does not count. */
  gap(at = this.#now()): void {
    this.#last = at;
    this.#lastOutputs = 0;
    this.#pausedMs = 0;
  }

  #pass(at: number, work: Pick<OwnStep, 'stepMs' | 'tokens' | 'promptTokens' | 'promptMs'>): void {
    const last = this.#last;
    const pausedMs = this.#pausedMs;
    this.#last = at;
    this.#pausedMs = 0;
    if (last === undefined || this.#lastOutputs === 0) return;
    const ms = at - last;
    const { stepMs, tokens, promptTokens, promptMs } = work;
    this.#onStep({
      at,
      ms,
      pausedMs: Math.min(pausedMs, ms),
      outputs: this.#lastOutputs,
      others: this.#lastOthers,
      stepMs,
      tokens,
      promptTokens,
      promptMs,
    });
  }
}
