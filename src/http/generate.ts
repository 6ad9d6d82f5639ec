/**
 * One accepted job until its last event: the engine's notes are narrated, its ids become text, its end becomes `end` or `error`.
 * The only place that narrates a generation: it runs inside the story of its request.
 */
import { EngineLostError } from '../bridge/child.ts';
import type { Step } from '../bridge/mailbox.ts';
import type { Finish, Finished, Note, TokenReport } from '../bridge/protocol.ts';
import { ERRORS, type StreamErrorCode } from '../errors.ts';
import type { LoadedModel } from '../model/load.ts';
import { narrate } from '../narration/narrate.ts';
import type { Outcome } from '../telemetry/metrics.ts';
import { type Piece, Words } from '../text/words.ts';
import type { Job } from './jobs.ts';
import { Pace, rounded } from './pace.ts';
import type { Prepared } from './prompt.ts';
import type { Service } from './service.ts';
import { tellStopped } from './stopped.ts';

/** Two `metrics` events are at least this far apart. */
const METRICS_MS = 500;

export class Generation {
  readonly #job: Job;
  readonly #prepared: Prepared;
  readonly #model: LoadedModel;
  readonly #service: Service;
  readonly #words: Words;
  readonly #pace: Pace;
  #nextIndex = 0;
  #metricsAt = Number.NEGATIVE_INFINITY;
  #queueMs = 0;
  #finished: Finished | undefined;
  #batch = 1;
  #toldSlow = false;
  #queued = false;

  constructor(job: Job, prepared: Prepared, model: LoadedModel, service: Service) {
    this.#job = job;
    this.#prepared = prepared;
    this.#model = model;
    this.#service = service;
    this.#words = new Words(model.tokenizer, prepared.stops);
    this.#pace = new Pace(job.acceptedAt);
  }

  /** Tells what is known before the engine has it, then follows the engine to the end. Always ends the stream; never throws. */
  async run(): Promise<void> {
    const { sequence, tokenizeMs } = this.#prepared;
    const { temperature, seed } = sequence.sampling;
    narrate('inference.start', { max_tokens: sequence.maxTokens, temperature, seed });
    narrate('prompt.tokenized', { tokens_in: sequence.prompt.length, duration_ms: tokenizeMs });
    try {
      for await (const step of this.#service.engine.submit(sequence, this.#job.signal, this.#job.audience))
        this.#take(step);
    } catch (error) {
      this.#fail(error);
    }
  }

  #take({ batch, report, lost, unconfirmed }: Step): void {
    this.#batch = batch;
    if (lost !== undefined) this.#tellRequeued(lost);
    for (const note of report.notes) this.#tellNote(note);
    for (const token of report.tokens) this.#takeToken(token);
    if (report.finish) this.#finish(report.finish, unconfirmed);
    else if (report.tokens.length > 0) this.#tellMetrics();
  }

  #takeToken(token: TokenReport): void {
    if (this.#words.stopped !== undefined) return; // what the engine still sends after a stop string is not part of the output
    this.#pace.tick();
    this.#emitPiece(this.#words.push(token));
    this.#service.metrics.token(this.#batch);
    if (this.#words.stopped !== undefined) this.#job.stop('stop_sequence');
    else if (this.#pace.tokens % this.#service.config.progressEvery === 0) this.#tellProgress();
  }

  #emitPiece(piece: Piece | undefined): void {
    if (!piece) return;
    const last = piece.tokens.at(-1);
    const scored =
      last?.logprob === undefined ? undefined : { id: last.id, logprob: last.logprob, top: [...(last.top ?? [])] };
    const before = scored && piece.tokens.length > 1 ? piece.tokens.slice(0, -1) : [];
    const earlier = before.map(({ id, logprob = 0, top = [] }) => ({ id, logprob, top: [...top] }));
    this.#job.stream.emit('token', {
      t: piece.text,
      i: this.#nextIndex,
      ...scored,
      ...(earlier.length > 0 && { earlier }),
    });
    this.#nextIndex += 1;
  }

  #tellNote(note: Note): void {
    switch (note.note) {
      case 'queued':
        narrate(this.#queued ? 'queue.moved' : 'request.queued', { queue_position: note.position, eta_ms: note.etaMs });
        this.#queued = true;
        return;
      case 'started':
        this.#queueMs = note.queueMs;
        narrate('cache.reset', { slot: note.slot, cached_tokens: note.cached, queue_ms: note.queueMs });
        if (note.cached > 0) {
          const tokens_in = this.#prepared.sequence.prompt.length;
          narrate('cache.hit', {
            cached_tokens: note.cached,
            tokens_in,
            slot: note.slot,
            diverged_at: note.divergedAt,
          });
        }
        if (note.others > 0) narrate('batch.joined', { batch_size: note.others + 1 });
        return;
      case 'prefill':
        narrate('prefill.progress', {
          tokens_done: note.done,
          tokens_total: note.total,
          prefill_ms: note.elapsedMs,
          eta_ms: note.etaMs,
        });
        return;
      default:
        note satisfies never;
    }
  }

  #tellRequeued(reason: string): void {
    narrate('request.requeued', { reason });
    this.#queued = false; // its place in the next engine's queue is a new one
  }

  #tellProgress(): void {
    narrate('tokens.progress', {
      tokens_out: this.#pace.tokens,
      tokens_per_sec: this.#pace.tokensPerSecond,
      decode_time_ms: this.#pace.decodeMs,
      batch_size: this.#batch,
    });
    if (this.#job.stream.shed > 0 && !this.#toldSlow) {
      this.#toldSlow = true;
      narrate('reader.slow', { shed: this.#job.stream.shed });
    }
  }

  #tellMetrics(): void {
    const now = performance.now();
    if (now - this.#metricsAt < METRICS_MS) return;
    this.#metricsAt = now;
    this.#job.stream.emit('metrics', {
      tokens_out: this.#pace.tokens,
      tokens_per_sec: rounded(this.#pace.tokensPerSecond),
      time_to_first_token_ms: rounded(this.#pace.timeToFirstTokenMs ?? 0),
      vram_bytes: this.#model.facts.deviceBytes,
      batch_size: this.#batch,
    });
  }

  #finish(finish: Finish, unconfirmed = false): void {
    this.#finished = finish;
    const stop = this.#job.stopped?.why;
    if (finish.reason === 'failed' || finish.reason === 'out_of_memory') {
      // The runtime's own words may name files: they are for the operator only.
      narrate('worker.fault', { error_kind: finish.reason, reason: finish.message });
      const code = finish.reason === 'failed' ? 'INFERENCE_FAILED' : 'VRAM_OOM';
      this.#end(code, 'error', { kind: code.toLowerCase(), reason: 'the runtime could not compute a step' });
    } else if (stop === 'stop_sequence') this.#complete('stop_sequence', finish);
    else if (finish.reason !== 'cancelled') this.#complete(finish.reason, finish);
    else {
      const { code, outcome } = tellStopped(this.#job, this.#pace.tokens, unconfirmed);
      this.#close(code, outcome);
    }
  }

  #complete(reason: 'max_tokens' | 'eos' | 'stop_sequence', finish: Finish): void {
    const { cached, drafted, accepted, timings } = finish;
    this.#emitPiece(this.#words.flush());
    this.#tellMetrics();
    const facts = {
      tokens_in: this.#prepared.sequence.prompt.length,
      tokens_out: this.#pace.tokens,
      cached_tokens: cached,
    };
    const decode = { decode_time_ms: this.#pace.decodeMs };
    const durationMs = this.#pace.elapsedMs;
    narrate('inference.complete', {
      ...facts,
      ...decode,
      tokens_per_sec: this.#pace.tokensPerSecond,
      stop_reason: reason,
    });
    narrate('time.explained', {
      duration_ms: durationMs,
      queue_ms: timings.queueMs,
      prefill_ms: timings.prefillMs,
      ...decode,
      ...(drafted > 0 && { tokens_drafted: drafted, tokens_accepted: accepted }),
    });
    const { stream } = this.#job;
    stream.emit('end', {
      ...facts,
      decode_time_ms: rounded(decode.decode_time_ms),
      time_to_first_token_ms: rounded(this.#pace.timeToFirstTokenMs ?? this.#pace.elapsedMs),
      queue_ms: rounded(timings.queueMs),
      stop_reason: reason,
      ...(this.#words.stopped !== undefined && { stop_sequence_matched: this.#words.stopped }),
      seed: this.#prepared.sequence.sampling.seed,
      ...(stream.shed > 0 && { shed: stream.shed }),
    });
    this.#account('success');
  }

  /** The engine was lost, or this code has a fault: either way the stream gets its one terminal event. */
  #fail(error: unknown): void {
    if (error instanceof EngineLostError) {
      narrate('request.engine_lost', { error_kind: 'engine_lost', reason: error.message });
      this.#end('ENGINE_LOST', 'error', { kind: 'engine_lost', reason: error.message });
      return;
    }
    narrate('worker.fault', { error_kind: 'generation', reason: String(error instanceof Error ? error.stack : error) });
    this.#end('INFERENCE_FAILED', 'error', { kind: 'inference_failed', reason: 'the worker has a fault' });
  }

  #end(code: StreamErrorCode, outcome: Outcome, { kind, reason }: { kind: string; reason: string }): void {
    narrate('inference.failed', { error_kind: kind, reason, tokens_out: this.#pace.tokens });
    this.#close(code, outcome);
  }

  #close(code: StreamErrorCode, outcome: Outcome): void {
    this.#job.stream.emit('error', { code, message: ERRORS[code].sentence, retriable: ERRORS[code].retriable });
    this.#account(outcome);
  }

  #account(outcome: Outcome): void {
    const { metrics } = this.#service;
    const first = this.#pace.timeToFirstTokenMs;
    metrics.shed(this.#job.stream.shed);
    metrics.finished({
      outcome,
      tokensIn: this.#prepared.sequence.prompt.length,
      tokensOut: this.#pace.tokens,
      durationMs: this.#pace.elapsedMs,
      queueMs: this.#queueMs,
      tokensCached: this.#finished?.cached ?? 0,
      tokensDrafted: this.#finished?.drafted ?? 0,
      tokensAccepted: this.#finished?.accepted ?? 0,
      ...(first !== undefined && { timeToFirstTokenMs: first, decodeMs: this.#pace.decodeMs }),
    });
  }
}
