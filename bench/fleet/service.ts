/** Service times of one worker, fitted to measurements. Pure. Times are milliseconds. */

export interface ServiceTimes {
  /** A decode step takes `step` + `row` for each row + `context` for each token that its rows hold. */
  readonly step: number;
  readonly row: number;
  readonly context: number;
  /** A prompt token takes `prompt` + `promptContext` for each token before it. */
  readonly prompt: number;
  readonly promptContext: number;
  /** Work of a request besides its tokens, before its first token. */
  readonly request: number;
  /**
   * Longest chunk of a prompt, and its longest form beside rows that decode; src/engine/prefill-budget.ts.
   */
  readonly chunk: number;
  readonly longestChunk: number;
  /** Decode steps between two chunks of a long prompt. */
  readonly stepsBetween: number;
}

/**
 * SmolLM2-135M in 4 bits on two cores: docs/benchmarks.md, "The engine alone" (15 cells from 1 row at context
 * 128 to 16 rows at context 2048) and "The second turn of a chat".
 */
export const MEASURED: ServiceTimes = {
  step: 5.7,
  row: 2.3,
  context: 0.0065,
  prompt: 1.81,
  promptContext: 0.00081,
  request: 7,
  chunk: 250,
  longestChunk: 500,
  stepsBetween: 24,
};

export const stepMs = (times: ServiceTimes, rows: number, tokens: number): number =>
  times.step + times.row * rows + times.context * tokens;

/** Work of a prompt of which the first tokens are cached. The last two tokens are always computed. */
export function promptMs(times: ServiceTimes, tokens: number, cached: number): number {
  const known = Math.max(0, Math.min(cached, tokens - 2));
  const count = tokens - known;
  return times.request + count * (times.prompt + times.promptContext * (known + count / 2));
}

/** Share of the time that a prompt gets beside rows that decode; the rows get the rest. */
export function promptShare(times: ServiceTimes, work: number, step: number): number {
  if (work <= times.chunk) return 1;
  const pause = times.stepsBetween * step;
  const chunk = Math.min(times.longestChunk, Math.max(times.chunk, pause));
  return chunk / (chunk + pause);
}
