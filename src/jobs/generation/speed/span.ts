/**
 * Sums over consecutive steps of a job. Pure. Rates are tokens per millisecond of one output, so that they
 * can be compared while the number of outputs changes.
 */
import type { MachineSample } from '../../../telemetry/machine-load.ts';
import type { OwnStep } from './own-step.ts';

export class Span {
  /** Milliseconds, with pauses. */
  ms = 0;
  /** Milliseconds times the outputs that decoded. */
  outputMs = 0;
  tokens = 0;
  pausedMs = 0;
  promptMs = 0;
  promptTokens = 0;
  /** Milliseconds times the sequences of other requests. */
  #othersMs = 0;
  /** The same for the steps with one token for each output at most: no drafts. */
  #plain = { tokens: 0, outputMs: 0, stepMs: 0 };
  /** Differences of samples of the machine, without pauses. */
  #machine = { ms: 0, pressureMs: 0, engineMs: 0 };

  add(step: OwnStep): void {
    const { ms, outputs, tokens, others, stepMs } = step;
    this.ms += ms;
    this.outputMs += ms * outputs;
    this.tokens += tokens;
    this.pausedMs += step.pausedMs;
    this.promptMs += step.promptMs;
    this.promptTokens += step.promptTokens;
    this.#othersMs += ms * others;
    if (tokens === 0 || tokens > outputs) return;
    this.#plain.tokens += tokens;
    this.#plain.outputMs += (ms - step.pausedMs) * outputs;
    this.#plain.stepMs += stepMs * outputs;
  }

  /** Adds the difference of two samples of the same engine process. */
  addMachine(from: MachineSample | undefined, to: MachineSample | undefined): void {
    if (!from || !to || from.pid !== to.pid || to.at <= from.at) return;
    this.#machine.ms += to.at - from.at;
    this.#machine.pressureMs += to.pressureMs - from.pressureMs;
    this.#machine.engineMs += to.engineMs - from.engineMs;
  }

  merge(other: Span): void {
    this.ms += other.ms;
    this.outputMs += other.outputMs;
    this.tokens += other.tokens;
    this.pausedMs += other.pausedMs;
    this.promptMs += other.promptMs;
    this.promptTokens += other.promptTokens;
    this.#othersMs += other.#othersMs;
    this.#plain.tokens += other.#plain.tokens;
    this.#plain.outputMs += other.#plain.outputMs;
    this.#plain.stepMs += other.#plain.stepMs;
    this.#machine.ms += other.#machine.ms;
    this.#machine.pressureMs += other.#machine.pressureMs;
    this.#machine.engineMs += other.#machine.engineMs;
  }

  /** Outputs of the job, on average. */
  get outputs(): number {
    return this.ms > 0 ? this.outputMs / this.ms : 1;
  }

  /** Tokens of each output. */
  get tokensEach(): number {
    return this.tokens / this.outputs;
  }

  /** Rate of all steps. */
  get rate(): number {
    return this.outputMs > 0 ? this.tokens / this.outputMs : 0;
  }

  /** Rate of all steps without pauses. */
  get activeRate(): number {
    const active = this.outputMs - this.pausedMs * this.outputs;
    return active > 0 ? this.tokens / active : 0;
  }

  /** Tokens of the steps without drafts, of each output. */
  get plainTokensEach(): number {
    return this.#plain.tokens / this.outputs;
  }

  /**
   * Rate of the steps without drafts and pauses. If reports arrive late and together, their time of arrival
   * is too short: then the time of the engine counts.
   */
  get plainRate(): number {
    const { tokens, outputMs, stepMs } = this.#plain;
    const time = Math.max(outputMs, stepMs);
    return time > 0 ? tokens / time : 0;
  }

  /** Sequences of other requests, on average. */
  get others(): number {
    return this.ms > 0 ? this.#othersMs / this.ms : 0;
  }

  /** Share of the time in which a task of the machine waited for a processor; undefined if not measured. */
  get pressure(): number | undefined {
    const { ms, pressureMs } = this.#machine;
    return ms > 0 ? Math.min(1, pressureMs / ms) : undefined;
  }

  /** Processors that the engine process used, on average; undefined if not measured. */
  get processors(): number | undefined {
    const { ms, engineMs } = this.#machine;
    return ms > 0 && engineMs >= 0 ? engineMs / ms : undefined;
  }
}
