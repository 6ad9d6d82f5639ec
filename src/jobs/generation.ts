/**
 * One accepted job until its last event: the engine's notes are narrated, its ids become text, its end becomes `end` or `error`.
 * The only place that narrates a generation: it runs inside the story of its request.
 */
import { EngineLostError } from '../bridge/child.ts';
import type { Step } from '../bridge/sequence-inbox.ts';
import { ERRORS, type StreamErrorCode } from '../contract/errors.ts';
import type { Service } from '../http/service.ts';
import type { LoadedModel } from '../lifecycle/load-model.ts';
import { narrate } from '../narration/narrate.ts';
import type { Finish, Finished, Note, TokenReport } from '../protocol/messages.ts';
import type { Outcome } from '../telemetry/metrics.ts';
import { OutputText, type Piece } from '../text/output/output-text.ts';
import type { Job } from './job.ts';
import type { Prepared } from './prompt.ts';
import { narrateStop } from './stop-outcome.ts';
import { rounded, TokenTiming } from './timing.ts';

/** Two `metrics` events are at least this far apart. */
const METRICS_MS = 500;

export class Generation {
  readonly #job: Job;
  readonly #prepared: Prepared;
  readonly #model: LoadedModel;
  readonly #service: Service;
  readonly #output: OutputText;
  readonly #timing: TokenTiming;
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
    this.#output = new OutputText(model.tokenizer, prepared.stops);
    this.#timing = new TokenTiming(job.acceptedAt);
  }

  /** Tells what is known before the engine has it, then follows the engine to the end. Always ends the stream; never throws. */
  async run(): Promise<void> {
    const { sequence, tokenizeMs } = this.#prepared;
    const { temperature, seed } = sequence.sampling;
    narrate('inference.start', { max_tokens: sequence.maxTokens, temperature, seed });
    narrate('prompt.tokenized', { tokens_in: sequence.prompt.length, duration_ms: tokenizeMs });
    try {
      for await (const step of this.#service.engine.submit(sequence, this.#job.signal, this.#job.subscribers))
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
    if (this.#output.stopped !== undefined) return; // what the engine still sends after a stop string is not part of the output
    this.#timing.tick();
    this.#emitPiece(this.#output.push(token));
    this.#service.metrics.token(this.#batch);
    if (this.#output.stopped !== undefined) this.#job.stop('stop_sequence');
    else if (this.#timing.tokens % this.#service.config.progressEvery === 0) this.#tellProgress();
  }

  #emitPiece(piece: Piece | undefined): void {
    if (!piece) return;
    const last = piece.tokens.at(-1);
    const scored =
      last?.logprob === undefined ? undefined : { id: last.id, logprob: last.logprob, top: [...(last.top ?? [])] };
    const before = scored && piece.tokens.length > 1 ? piece.tokens.slice(0, -1) : [];
    const earlier = before.map(({ id, logprob = 0, top = [] }) => ({ id, logprob, top: [...top] }));
    this.#job.log.emit('token', {
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
        narrate('cache.reset', { slot: note.slot, cached_tokens: note.cachedTokens, queue_ms: note.queueMs });
        if (note.cachedTokens > 0) {
          const tokens_in = this.#prepared.sequence.prompt.length;
          narrate('cache.hit', {
            cached_tokens: note.cachedTokens,
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
      tokens_out: this.#timing.tokens,
      tokens_per_sec: this.#timing.tokensPerSecond,
      decode_time_ms: this.#timing.decodeMs,
      batch_size: this.#batch,
    });
    if (this.#job.log.shed > 0 && !this.#toldSlow) {
      this.#toldSlow = true;
      narrate('reader.slow', { shed: this.#job.log.shed });
    }
  }

  #tellMetrics(): void {
    const now = performance.now();
    if (now - this.#metricsAt < METRICS_MS) return;
    this.#metricsAt = now;
    this.#job.log.emit('metrics', {
      tokens_out: this.#timing.tokens,
      tokens_per_sec: rounded(this.#timing.tokensPerSecond),
      time_to_first_token_ms: rounded(this.#timing.timeToFirstTokenMs ?? 0),
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
      const { code, outcome } = narrateStop(this.#job, this.#timing.tokens, unconfirmed);
      this.#close(code, outcome);
    }
  }

  #complete(reason: 'max_tokens' | 'eos' | 'stop_sequence', finish: Finish): void {
    const { cachedTokens, drafted, accepted, timings } = finish;
    this.#emitPiece(this.#output.flush());
    this.#tellMetrics();
    const facts = {
      tokens_in: this.#prepared.sequence.prompt.length,
      tokens_out: this.#timing.tokens,
      cached_tokens: cachedTokens,
    };
    const decode = { decode_time_ms: this.#timing.decodeMs };
    const durationMs = this.#timing.elapsedMs;
    narrate('inference.complete', {
      ...facts,
      ...decode,
      tokens_per_sec: this.#timing.tokensPerSecond,
      stop_reason: reason,
    });
    narrate('time.explained', {
      duration_ms: durationMs,
      queue_ms: timings.queueMs,
      prefill_ms: timings.prefillMs,
      ...decode,
      ...(drafted > 0 && { tokens_drafted: drafted, tokens_accepted: accepted }),
    });
    const { log } = this.#job;
    log.emit('end', {
      ...facts,
      decode_time_ms: rounded(decode.decode_time_ms),
      time_to_first_token_ms: rounded(this.#timing.timeToFirstTokenMs ?? this.#timing.elapsedMs),
      queue_ms: rounded(timings.queueMs),
      stop_reason: reason,
      ...(this.#output.stopped !== undefined && { stop_sequence_matched: this.#output.stopped }),
      seed: this.#prepared.sequence.sampling.seed,
      ...(log.shed > 0 && { shed: log.shed }),
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
    narrate('inference.failed', { error_kind: kind, reason, tokens_out: this.#timing.tokens });
    this.#close(code, outcome);
  }

  #close(code: StreamErrorCode, outcome: Outcome): void {
    this.#job.log.emit('error', { code, message: ERRORS[code].sentence, retriable: ERRORS[code].retriable });
    this.#account(outcome);
  }

  #account(outcome: Outcome): void {
    const { metrics } = this.#service;
    const first = this.#timing.timeToFirstTokenMs;
    metrics.shed(this.#job.log.shed);
    metrics.finished({
      outcome,
      tokensIn: this.#prepared.sequence.prompt.length,
      tokensOut: this.#timing.tokens,
      durationMs: this.#timing.elapsedMs,
      queueMs: this.#queueMs,
      tokensCached: this.#finished?.cachedTokens ?? 0,
      tokensDrafted: this.#finished?.drafted ?? 0,
      tokensAccepted: this.#finished?.accepted ?? 0,
      ...(first !== undefined && { timeToFirstTokenMs: first, decodeMs: this.#timing.decodeMs }),
    });
  }
}
