/**
 * One generation from the start to its terminal event: turns the reports of the engine into events of the
 * job's log. Knows neither HTTP nor a wire format.
 */
import { EngineLostError } from '../../bridge/child.ts';
import type { EngineClient } from '../../bridge/client.ts';
import type { Step } from '../../bridge/sequence-inbox.ts';
import { ERRORS, isRetriable, type Retry, type StreamErrorCode } from '../../contract/errors.ts';
import type { Finish, TokenReport } from '../../protocol/messages.ts';
import type { Metrics, Outcome } from '../../telemetry/metrics.ts';
import { OutputText, type Piece } from '../../text/output/output-text.ts';
import type { Tokenizer } from '../../text/tokenizer/tokenizer.ts';
import type { Job } from '../job.ts';
import type { Prepared } from '../prompt.ts';
import { narrateStop } from '../stop-outcome.ts';
import { GenerationNarrator } from './generation-narrator.ts';
import { rounded, TokenTiming } from './timing.ts';

/** Minimum time between two `metrics` events, in milliseconds. */
const METRICS_MS = 500;

/** The parts of the loaded model that a generation uses. */
export interface GenerationModel {
  readonly tokenizer: Tokenizer;
  readonly facts: { readonly deviceBytes: number };
}

/** The parts of the worker that a generation uses. */
export interface GenerationParts {
  readonly engine: Pick<EngineClient, 'submit'>;
  readonly metrics: Metrics;
  /** Tokens between two progress narrations. */
  readonly progressEvery: number;
}

export class Generation {
  readonly #job: Job;
  readonly #prepared: Prepared;
  readonly #model: GenerationModel;
  readonly #parts: GenerationParts;
  readonly #output: OutputText;
  readonly #timing: TokenTiming;
  readonly #narrator: GenerationNarrator;
  /** Index of the next `token` event. */
  #nextIndex = 0;
  /** Time of the last `metrics` event, on the clock of performance.now(). */
  #metricsAt = Number.NEGATIVE_INFINITY;
  #queueMs = 0;
  #finish: Finish | undefined;
  /** Sequences computed in the last step. */
  #batch = 1;

  constructor(job: Job, prepared: Prepared, model: GenerationModel, parts: GenerationParts) {
    this.#job = job;
    this.#prepared = prepared;
    this.#model = model;
    this.#parts = parts;
    this.#output = new OutputText(model.tokenizer, prepared.stops, prepared.continued);
    this.#timing = new TokenTiming(job.acceptedAt);
    job.progress.tokensIn = prepared.sequence.prompt.length;
    this.#narrator = new GenerationNarrator(prepared, this.#timing, job.log);
  }

  /** Submits the sequence and handles the engine's reports. Always emits a terminal event; never throws. */
  async run(): Promise<void> {
    this.#narrator.begin();
    const { signal, subscribers } = this.#job;
    try {
      for await (const step of this.#parts.engine.submit(this.#prepared.sequence, signal, subscribers))
        this.#onStep(step);
    } catch (error) {
      this.#onError(error);
    }
  }

  #onStep({ batch, report, lost, silence, unconfirmed }: Step): void {
    this.#batch = batch;
    const { progress } = this.#job;
    if (lost !== undefined) {
      progress.hasSlot = false;
      this.#narrator.requeued(lost);
    }
    if (silence) this.#narrator.silence(silence);
    for (const note of report.notes) {
      if (note.note === 'started') {
        progress.hasSlot = true;
        this.#queueMs = note.queueMs;
      }
      this.#narrator.note(note);
    }
    for (const token of report.tokens) this.#onToken(token);
    if (report.finish) this.#onFinish(report.finish, unconfirmed);
    else if (report.tokens.length > 0) this.#emitMetrics();
  }

  /** Ignores tokens that the engine sends after a stop string: they are not part of the output. */
  #onToken(token: TokenReport): void {
    if (this.#output.stopped !== undefined) return;
    this.#timing.tick();
    this.#job.progress.tokensOut = this.#timing.tokens;
    this.#emitPiece(this.#output.push(token));
    this.#parts.metrics.token(this.#batch);
    if (this.#output.stopped !== undefined) this.#job.stop('stop_sequence');
    else if (this.#timing.tokens % this.#parts.progressEvery === 0) this.#narrator.progress(this.#batch);
  }

  /** Emits a `token` event with the score of its last token; `earlier` has the scores of the others. */
  #emitPiece(piece: Piece | undefined): void {
    if (!piece) return;
    const last = piece.tokens.at(-1);
    const scored =
      last?.logprob === undefined ? undefined : { id: last.id, logprob: last.logprob, top: [...(last.top ?? [])] };
    const before = scored && piece.tokens.length > 1 ? piece.tokens.slice(0, -1) : [];
    const earlier = before.map(({ id, logprob = 0, top = [] }) => ({ id, logprob, top: [...top] }));
    this.#job.log.emit({
      type: 'token',
      t: piece.text,
      i: this.#nextIndex,
      ...scored,
      ...(earlier.length > 0 && { earlier }),
    });
    this.#nextIndex += 1;
  }

  #emitMetrics(): void {
    const now = performance.now();
    if (now - this.#metricsAt < METRICS_MS) return;
    this.#metricsAt = now;
    this.#job.log.emit({
      type: 'metrics',
      tokens_out: this.#timing.tokens,
      tokens_per_sec: rounded(this.#timing.tokensPerSecond),
      time_to_first_token_ms: rounded(this.#timing.timeToFirstTokenMs ?? 0),
      vram_bytes: this.#model.facts.deviceBytes,
      batch_size: this.#batch,
    });
  }

  #onFinish(finish: Finish, unconfirmed = false): void {
    this.#finish = finish;
    const stop = this.#job.stopped?.why;
    if (finish.reason === 'failed' || finish.reason === 'out_of_memory') {
      this.#narrator.fault(finish.reason, finish.message);
      const code = finish.reason === 'failed' ? 'INFERENCE_FAILED' : 'VRAM_OOM';
      this.#fail(code, 'the runtime could not compute a step');
    } else if (stop === 'stop_sequence') this.#complete('stop_sequence', finish);
    else if (finish.reason !== 'cancelled') this.#complete(finish.reason, finish);
    else {
      const { code, outcome, retry } = narrateStop(this.#job, this.#timing.tokens, unconfirmed);
      this.#emitError(code, outcome, retry);
    }
  }

  #complete(reason: 'max_tokens' | 'eos' | 'stop_sequence', finish: Finish): void {
    this.#emitPiece(this.#output.flush());
    this.#emitMetrics();
    this.#narrator.complete(reason, finish);
    const { log, progress } = this.#job;
    progress.end = { at: performance.now(), stopReason: reason };
    log.emit({
      type: 'end',
      tokens_in: this.#prepared.sequence.prompt.length,
      tokens_out: this.#timing.tokens,
      cached_tokens: finish.cachedTokens,
      decode_time_ms: rounded(this.#timing.decodeMs),
      time_to_first_token_ms: rounded(this.#timing.timeToFirstTokenMs ?? this.#timing.elapsedMs),
      queue_ms: rounded(finish.timings.queueMs),
      stop_reason: reason,
      ...(this.#output.stopped !== undefined && { stop_sequence_matched: this.#output.stopped }),
      seed: this.#prepared.sequence.sampling.seed,
      ...(log.shed > 0 && { shed: log.shed }),
    });
    this.#account('success');
  }

  /** The engine was lost, or the worker has a defect. */
  #onError(error: unknown): void {
    if (error instanceof EngineLostError) {
      this.#narrator.engineLost(error.message);
      this.#fail('ENGINE_LOST', error.message);
      return;
    }
    this.#narrator.fault('generation', String(error instanceof Error ? error.stack : error));
    this.#fail('INFERENCE_FAILED', 'the worker has a fault');
  }

  #fail(code: StreamErrorCode, reason: string): void {
    this.#narrator.failed(code.toLowerCase(), reason);
    this.#emitError(code, 'error');
  }

  #emitError(code: StreamErrorCode, outcome: Outcome, retry: Retry = ERRORS[code].retry): void {
    const { log, progress } = this.#job;
    progress.end = { at: performance.now(), errorCode: code };
    log.emit({ type: 'error', code, message: ERRORS[code].sentence, retriable: isRetriable(retry), retry });
    this.#account(outcome);
  }

  #account(outcome: Outcome): void {
    const { metrics } = this.#parts;
    const first = this.#timing.timeToFirstTokenMs;
    metrics.shed(this.#job.log.shed);
    metrics.finished({
      outcome,
      tokensIn: this.#prepared.sequence.prompt.length,
      tokensOut: this.#timing.tokens,
      durationMs: this.#timing.elapsedMs,
      queueMs: this.#queueMs,
      tokensCached: this.#finish?.cachedTokens ?? 0,
      tokensDrafted: this.#finish?.drafted ?? 0,
      tokensAccepted: this.#finish?.accepted ?? 0,
      ...(first !== undefined && { timeToFirstTokenMs: first, decodeMs: this.#timing.decodeMs }),
    });
  }
}
