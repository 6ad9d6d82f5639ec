/**
 * Narrates one generation: the engine's notes, the progress and the end. Must run inside the context of its
 * request. Emits no other events.
 */
import type { EngineLostError } from '../../bridge/child.ts';
import type { Silence } from '../../bridge/sequence-inbox.ts';
import { narrate } from '../../narration/narrate.ts';
import type { Finished, Note } from '../../protocol/messages.ts';
import type { EventLog } from '../event-log.ts';
import { grammarsIn, type Prepared, tokensIn } from '../prompt.ts';
import type { BatchChange } from './speed/batch-watch.ts';
import type { SlowPhase } from './speed/slow-watch.ts';
import type { SpeedListener } from './speed/speed-watch.ts';
import type { TokenTiming } from './timing.ts';

export class GenerationNarrator implements SpeedListener {
  readonly #prepared: Prepared;
  readonly #timing: TokenTiming;
  readonly #log: EventLog;
  /** True if a position in the queue of the current engine process has been narrated. */
  #queued = false;
  #slowReported = false;

  constructor(prepared: Prepared, timing: TokenTiming, log: EventLog) {
    this.#prepared = prepared;
    this.#timing = timing;
    this.#log = log;
  }

  get #tokensIn(): number {
    return tokensIn(this.#prepared);
  }

  /** @param resumed tokens of a resumed output that an earlier sequence has generated */
  begin(resumed: number | undefined): void {
    const { prompts, tokenizeMs } = this.#prepared;
    const [first] = prompts;
    if (!first) return;
    const { maxTokens: max_tokens, sampling } = first.sequence;
    const { temperature, seed } = sampling;
    narrate('inference.start', { max_tokens, temperature, seed });
    narrate('prompt.tokenized', { tokens_in: this.#tokensIn, duration_ms: tokenizeMs });
    for (const { states, ms, cached, withoutEffect } of grammarsIn(this.#prepared))
      narrate('grammar.compiled', {
        grammar_states: states,
        duration_ms: ms,
        cached_grammar: cached ? 'yes' : 'no',
        ...(withoutEffect.length > 0 && { without_effect: withoutEffect.join(', ') }),
      });
    if (resumed !== undefined) narrate('request.continued', { tokens_kept: resumed });
  }

  /** @param promptTokens tokens of the prompt of the sequence that the note is about */
  note(note: Note, promptTokens: number): void {
    switch (note.note) {
      case 'queued':
        narrate(this.#queued ? 'queue.moved' : 'request.queued', { queue_position: note.position, eta_ms: note.etaMs });
        this.#queued = true;
        return;
      case 'started':
        this.#started(note, promptTokens);
        return;
      case 'prefill':
        narrate('prefill.progress', {
          tokens_done: note.done,
          tokens_total: note.total,
          prefill_ms: note.elapsedMs,
          eta_ms: note.etaMs,
        });
        return;
      case 'preempted':
        return; // narrated with the other interruptions
      default:
        note satisfies never;
    }
  }

  /** Called when the request enters the queue of the engine again. */
  queuesAgain(): void {
    this.#queued = false;
  }

  /**
   * Called when the engine process was lost before the request got a slot. The request enters the queue of
   * the next process at a new position.
   */
  requeued(reason: string): void {
    narrate('request.requeued', { reason });
    this.#queued = false;
  }

  /** Narrates that the engine is silent for too long, or has sent a message again. */
  silence({ state, ms }: Silence): void {
    narrate(state === 'stalled' ? 'request.stalled' : 'request.recovered', { silence_ms: ms });
  }

  /** Narrates the tokens so far. If events were shed, also narrates once that subscribers are slow. */
  progress(batch: number): void {
    narrate('tokens.progress', {
      tokens_out: this.#timing.tokens,
      tokens_per_sec: this.#timing.tokensPerSecond,
      decode_time_ms: this.#timing.decodeMs,
      batch_size: batch,
    });
    if (this.#log.shed === 0 || this.#slowReported) return;
    this.#slowReported = true;
    narrate('reader.slow', { shed: this.#log.shed });
  }

  /** Narrates that sequences of other requests joined the batch, or left it. */
  batchChanged({ othersBefore, others, outputs, before, after, windowMs }: BatchChange): void {
    narrate(others > othersBefore ? 'batch.grew' : 'batch.shrank', {
      batch_size: others + outputs,
      other_sequences: others,
      other_sequences_before: othersBefore,
      tokens_per_sec: after,
      tokens_per_sec_before: before,
      window_ms: windowMs,
    });
  }

  /** Narrates that the speed fell below half of the best one, and the measured cause. */
  slowed(phase: SlowPhase): void {
    const { cause, share, best, speed, windowMs, pausedMs, others, promptTokens, pressure } = phase;
    narrate('generation.slowed', {
      cause,
      tokens_per_sec: speed,
      tokens_per_sec_best: best,
      window_ms: windowMs,
      other_sequences: Math.round(others),
      ...(cause !== 'unknown' && { cause_percent: 100 * share }),
      ...(promptTokens > 0 && { prompt_tokens_beside: promptTokens }),
      ...(pausedMs > 0 && { paused_ms: pausedMs }),
      ...(pressure !== undefined && { cpu_pressure_percent: 100 * pressure }),
    });
  }

  /** @param interruptedMs milliseconds of the duration in which the request was interrupted */
  complete(
    reason: string,
    { cachedTokens, drafted, accepted, forced, timings }: Finished,
    interruptedMs: number,
  ): void {
    const durationMs = this.#timing.elapsedMs;
    const decode = { decode_time_ms: this.#timing.decodeMs };
    narrate('inference.complete', {
      tokens_in: this.#tokensIn,
      tokens_out: this.#timing.tokens,
      cached_tokens: cachedTokens,
      ...decode,
      tokens_per_sec: this.#timing.tokensPerSecond,
      stop_reason: reason,
    });
    narrate('time.explained', {
      duration_ms: durationMs,
      queue_ms: timings.queueMs,
      prefill_ms: timings.prefillMs,
      ...decode,
      ...(interruptedMs > 0 && { interrupted_ms: interruptedMs }),
      ...(drafted > 0 && { tokens_drafted: drafted, tokens_accepted: accepted }),
      tokens_forced: forced,
    });
  }

  /** Narrates that an output does not have the demanded form. */
  incomplete(tokens: number, reason: string): void {
    narrate('grammar.incomplete', { tokens_out: tokens, stop_reason: reason });
  }

  /** Narrates the number of texts that look like tool calls and cannot be parsed. */
  unparsed(times: number): void {
    narrate('tool.unparsed', { calls_unparsed: times });
  }

  engineLost({ message, causedLosses }: EngineLostError): void {
    narrate('request.engine_lost', { error_kind: 'engine_lost', reason: message, engine_losses: causedLosses });
  }

  /**
   * Narrates a failure inside the worker or the runtime. `reason` may name files: only the operator receives
   * this narration.
   */
  fault(kind: string, reason: string): void {
    narrate('worker.fault', { error_kind: kind, reason });
  }

  failed(kind: string, reason: string): void {
    narrate('inference.failed', { error_kind: kind, reason, tokens_out: this.#timing.tokens });
  }

  #started(
    { slot, cachedTokens, divergedAt, copiedFrom, savedMs, others, queueMs }: Extract<Note, { note: 'started' }>,
    promptTokens: number,
  ): void {
    narrate('cache.reset', { slot, cached_tokens: cachedTokens, queue_ms: queueMs });
    if (cachedTokens > 0)
      narrate('cache.hit', {
        cached_tokens: cachedTokens,
        tokens_in: promptTokens,
        slot,
        diverged_at: divergedAt,
        ...(copiedFrom && { copied_from: copiedFrom.running ? 'running' : 'idle' }),
        ...(savedMs !== undefined && { saved_ms: savedMs }),
      });
    if (others > 0) narrate('batch.joined', { batch_size: others + 1 });
  }
}
