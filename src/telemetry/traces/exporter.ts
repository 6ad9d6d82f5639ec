/**
 * Exports spans in batches, in the background: a full queue, a slow receiver or none costs spans, never time
 * of a request. One request at a time.
 */
import { Poster, type Receiver } from './post.ts';
import { backoffMs, type Verdict, verdictOf } from './retry.ts';
import { SpanQueue, type SpanRank } from './span-queue.ts';

/** Reasons for dropped spans, such as `rejected` by the receiver, or `shutdown` of the worker. */
export const DROP_REASONS = ['queue_full', 'export_failed', 'rejected', 'shutdown'] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export interface BatchSettings {
  /** Longest time that a span waits for others. */
  readonly delayMs: number;
  readonly queueSize: number;
  readonly batchSize: number;
  /** Limit of one batch, with all attempts. */
  readonly exportTimeoutMs: number;
}

/** A receiver that asks for a longer wait is asked again after this time. */
const LONGEST_ASKED_WAIT_MS = 300_000;

export interface ExporterOptions {
  readonly receiver: Receiver;
  readonly batch: BatchSettings;
  /** Limit of one attempt. */
  readonly timeoutMs: number;
  /** Makes the body of a request. */
  readonly bodyOf: (spans: readonly string[]) => string;
  readonly onExported: (spans: number) => void;
  /** @param cause the last failure, in words */
  readonly onDropped: (spans: number, reason: DropReason, cause: string) => void;
}

export class Exporter {
  readonly #options: ExporterOptions;
  readonly #queue: SpanQueue;
  readonly #poster: Poster;
  /** Aborted when the time of `close` is over. */
  readonly #end = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  #closing = false;
  /** The receiver asked for no request before this time, on the clock of performance.now(). */
  #notBefore = 0;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#queue = new SpanQueue(options.batch.queueSize);
    this.#poster = new Poster(options.receiver);
  }

  /** Queues the text of a span. Never waits. */
  add(span: string, rank?: SpanRank): void {
    const { batch, onDropped } = this.#options;
    if (this.#end.signal.aborted) onDropped(1, 'shutdown', 'the worker ends');
    else if (!this.#queue.push(span, rank)) onDropped(1, 'queue_full', 'the queue of spans is full');
    else if (this.#queue.length >= batch.batchSize) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), batch.delayMs).unref();
  }

  /** Begins to export all spans of the queue. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#queue.length > 0 && !this.#end.signal.aborted) this.flush();
    });
  }

  /**
   * Exports the rest of the queue, without waits between attempts. Spans that are left after `ms`
   * milliseconds are dropped.
   */
  async close(ms: number): Promise<void> {
    this.#closing = true;
    this.#wake();
    const timer = setTimeout(() => this.#end.abort(), ms);
    while (this.#queue.length > 0 || this.#running) {
      this.flush();
      await this.#running;
    }
    clearTimeout(timer);
    clearTimeout(this.#timer);
    this.#end.abort();
    this.#poster.close();
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const spans = this.#queue.take(this.#options.batch.batchSize);
      await this.#export(spans);
    }
  }

  /** Sends a batch until the receiver takes it, or its time is over. */
  async #export(spans: readonly string[]): Promise<void> {
    const { batch, bodyOf, onExported, onDropped } = this.#options;
    const body = bodyOf(spans);
    // A wait that the receiver asked for counts for the batch before.
    await this.#untilAllowed();
    const deadline = performance.now() + batch.exportTimeoutMs;
    for (let attempt = 1; ; attempt += 1) {
      if (this.#end.signal.aborted) return onDropped(spans.length, 'shutdown', 'the worker ends');
      const outcome = await this.#attempt(body, deadline - performance.now());
      if (outcome.verdict === 'taken') {
        const rejected = Math.min(outcome.rejected, spans.length);
        onExported(spans.length - rejected);
        if (rejected > 0) onDropped(rejected, 'rejected', `the receiver refuses spans (${outcome.reason})`);
        return;
      }
      if (this.#end.signal.aborted) return onDropped(spans.length, 'shutdown', 'the worker ends');
      const { reason } = outcome;
      if (outcome.verdict === 'failed' || this.#closing) return onDropped(spans.length, 'export_failed', reason);
      // A receiver that asks for no wait at all is not called in a tight loop.
      const waitMs = Math.min(Math.max(outcome.waitMs ?? 0, backoffMs(attempt)), LONGEST_ASKED_WAIT_MS);
      this.#notBefore = performance.now() + waitMs;
      if (this.#notBefore >= deadline) return onDropped(spans.length, 'export_failed', reason);
      await this.#untilAllowed();
    }
  }

  async #attempt(body: string, leftMs: number): Promise<Verdict> {
    const ms = Math.max(1, Math.round(Math.min(this.#options.timeoutMs, leftMs)));
    try {
      return verdictOf(await this.#poster.post(body, ms, this.#end.signal));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return { verdict: 'retry', waitMs: undefined, reason: code ?? message };
    }
  }

  /** Waits until the next request is allowed, or `close` is called. Does not keep the process alive. */
  async #untilAllowed(): Promise<void> {
    const ms = this.#notBefore - performance.now();
    if (ms <= 0 || this.#closing) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
