/**
 * The end of a generation: the terminal event of its log, and its figures for metrics. Narrates nothing.
 */
import { ERRORS, isRetriable, type Retry, type StreamErrorCode } from '../../contract/errors.ts';
import type { EventBody } from '../../contract/events.ts';
import type { StopReasonOfOutput } from '../../contract/job-states.ts';
import type { ResumeFacts } from '../../contract/resume/fields.ts';
import type { Finished } from '../../protocol/messages.ts';
import type { Outcome } from '../../telemetry/counts.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { OutputEnd } from '../../telemetry/traces/gen-ai.ts';
import type { Job } from '../job.ts';
import type { Choice } from './choice.ts';
import { rounded, type TokenTiming } from './timing.ts';

/** A job that ends with an error. */
export interface Failed {
  readonly code: StreamErrorCode;
  readonly outcome: Outcome;
  /** Absent: as the code. */
  readonly retry?: Retry | undefined;
  /** Absent: the sentence of the code. */
  readonly message?: string | undefined;
  /** Data with which another worker continues the output; absent if none can. */
  readonly resume?: (() => ResumeFacts) | undefined;
}

export class Ending {
  readonly #job: Job;
  readonly #choices: readonly Choice[];
  readonly #timing: TokenTiming;
  readonly #metrics: Metrics;
  /** Sums over all outputs. A prompt with several outputs counts once. */
  readonly totals: Finished;

  /** @param choices at least one */
  constructor(job: Job, choices: readonly Choice[], timing: TokenTiming, metrics: Metrics) {
    this.#job = job;
    this.#choices = choices;
    this.#timing = timing;
    this.#metrics = metrics;
    this.totals = totalsOf(choices);
  }

  /** Why the first output has ended. */
  get reason(): StopReasonOfOutput {
    return this.#choices[0]?.endReason ?? 'eos';
  }

  /** Emits `end`: all outputs are complete. */
  success(): void {
    const { log, progress } = this.#job;
    const { cachedTokens, timings } = this.totals;
    const [first] = this.#choices;
    progress.end = { at: performance.now(), stopReason: this.reason };
    log.emit({
      type: 'end',
      tokens_in: progress.tokensIn ?? 0,
      tokens_out: this.#timing.tokens,
      cached_tokens: cachedTokens,
      decode_time_ms: rounded(this.#timing.decodeMs),
      time_to_first_token_ms: rounded(this.#timing.timeToFirstTokenMs ?? this.#timing.elapsedMs),
      queue_ms: rounded(timings.queueMs),
      stop_reason: this.reason,
      ...(first?.matched !== undefined && { stop_sequence_matched: first.matched }),
      ...counts(this.#choices),
      seed: first?.prompt.sequence.sampling.seed ?? 0,
      ...(log.shed > 0 && { shed: log.shed }),
    });
    this.#account('success', undefined);
  }

  /** Emits `error`. */
  error({ code, outcome, retry = ERRORS[code].retry, message = ERRORS[code].sentence, resume }: Failed): void {
    const { log, progress } = this.#job;
    progress.end = { at: performance.now(), errorCode: code };
    const facts = retry === 'elsewhere' ? resume?.() : undefined;
    log.emit({ type: 'error', code, message, retriable: isRetriable(retry), retry, ...(facts && { resume: facts }) });
    this.#account(outcome, code);
  }

  #account(outcome: Outcome, errorCode: StreamErrorCode | undefined): void {
    const { log, progress } = this.#job;
    const first = this.#timing.timeToFirstTokenMs;
    const { cachedTokens, drafted, accepted, forced = 0, timings } = this.totals;
    const { firstSlot } = this.#choices[0] ?? {};
    const isComplete = this.#choices[0]?.finish !== undefined;
    this.#job.context.trace?.finished({
      outcome,
      errorCode,
      tokensIn: progress.tokensIn ?? 0,
      tokensOut: this.#timing.ownTokens,
      tokensCached: cachedTokens,
      reasoningTokens: this.#choices.reduce((sum, { reasoningTokens }) => sum + reasoningTokens, 0),
      finishes: outcome === 'success' ? this.#choices.map(finishOf) : [],
    });
    this.#metrics.shed(log.shed);
    this.#metrics.finished({
      outcome,
      ...(outcome === 'success' && { stopReason: this.reason }),
      tokensIn: progress.tokensIn ?? 0,
      tokensOut: this.#timing.ownTokens,
      durationMs: this.#timing.elapsedMs,
      ...(firstSlot && { queueMs: firstSlot.queueMs }),
      tokensLookedUp: lookedUp(this.#choices).reduce((sum, { inputTokens }) => sum + inputTokens, 0),
      tokensCached: cachedTokens,
      tokensDrafted: drafted,
      tokensAccepted: accepted,
      tokensForced: forced,
      ...(isComplete && first !== undefined && { prefillMs: timings.prefillMs }),
      ...(first !== undefined && { timeToFirstTokenMs: first, decodeMs: this.#timing.decodeMs }),
    });
  }
}

/** Why an output has ended, for its span. */
const finishOf = ({ endReason, toolCalls }: Choice): OutputEnd => (toolCalls > 0 ? 'tool_calls' : endReason);

/** The fields of `end` with counts of all outputs. A count of 0 is left out. */
function counts(choices: readonly Choice[]): Pick<EventBody<'end'>, 'tool_calls' | 'reasoning_tokens'> {
  const calls = choices.reduce((sum, { toolCalls }) => sum + toolCalls, 0);
  const reasoning = choices.reduce((sum, { reasoningTokens }) => sum + reasoningTokens, 0);
  return { ...(calls > 0 && { tool_calls: calls }), ...(reasoning > 0 && { reasoning_tokens: reasoning }) };
}

/**
 * The first output with a slot of each prompt: the prompt was looked up in the cache for that one. Its other
 * outputs share the keys and values.
 */
function lookedUp(choices: readonly Choice[]): readonly Choice[] {
  const prompts = new Map<number, Choice>();
  for (const choice of choices)
    if (choice.firstSlot && !prompts.has(choice.promptIndex)) prompts.set(choice.promptIndex, choice);
  return [...prompts.values()];
}

/** The times are those of the first output. The cached tokens are known for outputs that end early, too. */
function totalsOf(choices: readonly Choice[]): Finished {
  const cachedTokens = lookedUp(choices).reduce((sum, { firstSlot }) => sum + (firstSlot?.cachedTokens ?? 0), 0);
  const totals = { cachedTokens, drafted: 0, accepted: 0 };
  let forced: number | undefined;
  for (const { finish } of choices) {
    if (!finish) continue;
    totals.drafted += finish.drafted;
    totals.accepted += finish.accepted;
    if (finish.forced !== undefined) forced = (forced ?? 0) + finish.forced;
  }
  const timings = choices[0]?.finish?.timings ?? { queueMs: 0, prefillMs: 0, decodeMs: 0 };
  return { ...totals, ...(forced !== undefined && { forced }), timings };
}
