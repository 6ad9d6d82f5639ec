/**
 * The event loop's side of the thread that encodes long texts: queue, cancellation, loss of the thread.
 * Starts the thread (tokenizer-thread.ts).
 */
import { Worker } from 'node:worker_threads';
import type { TokenizerFiles } from './tokenizer-files.ts';

/** Parent → thread. The parent sends one job at a time, so the thread needs no queue. */
export interface ThreadJob {
  readonly text: string;
  readonly addSpecialTokens: boolean;
}

/** Thread → parent. A failure concerns one text; the thread continues. */
export type ThreadAnswer = { readonly ids: number[] } | { readonly failure: string };

interface PendingJob {
  readonly job: ThreadJob;
  readonly resolve: (ids: number[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** The thread and its queue. Never keeps the process alive. */
export class EncodeThread {
  readonly #entry: URL;
  readonly #files: TokenizerFiles;
  #worker: Worker | undefined;
  #running: PendingJob | undefined;
  readonly #queue: PendingJob[] = [];
  #closed = false;

  constructor(entry: URL, files: TokenizerFiles) {
    this.#entry = entry;
    const { tokenizerFile, tokenizerConfigFile } = files;
    this.#files = { tokenizerFile, ...(tokenizerConfigFile !== undefined && { tokenizerConfigFile }) };
  }

  async encode(job: ThreadJob, signal: AbortSignal | undefined): Promise<number[]> {
    if (this.#closed) throw new Error('The tokenizer is closed.');
    const settled = new AbortController();
    try {
      return await new Promise((resolve, reject) => {
        const pending = { job, resolve, reject };
        const cancel = (): void => this.#cancel(pending, signal?.reason);
        signal?.addEventListener('abort', cancel, { once: true, signal: settled.signal });
        this.#queue.push(pending);
        this.#next();
      });
    } finally {
      settled.abort();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#fail(new Error('The tokenizer is closed.'));
    await worker?.terminate();
  }

  /**
   * Rejects the job. If the thread is already encoding the text, it finishes the text, and the result is
   * dropped.
   */
  #cancel(pending: PendingJob, reason: unknown): void {
    const index = this.#queue.indexOf(pending);
    if (index >= 0) this.#queue.splice(index, 1);
    pending.reject(reason);
  }

  #next(): void {
    if (this.#running !== undefined || this.#queue.length === 0) return;
    this.#worker ??= this.#start();
    this.#running = this.#queue.shift();
    this.#worker.postMessage(this.#running?.job);
  }

  #start(): Worker {
    // The thread must not inherit the options of the process (--input-type, or --import in tests).
    const worker = new Worker(this.#entry, { workerData: this.#files, execArgv: [] });
    const lost = (cause: unknown): void => {
      if (this.#worker === worker) this.#fail(new Error('The tokenizer thread was lost.', { cause }));
    };
    worker.on('error', lost);
    worker.on('exit', (code) => lost(new Error(`It exited with code ${code}.`)));
    worker.on('message', (answer: ThreadAnswer) => {
      if (this.#worker !== worker) return;
      const finished = this.#running;
      this.#running = undefined;
      if ('ids' in answer) finished?.resolve(answer.ids);
      else finished?.reject(new Error(`The text could not be encoded: ${answer.failure}`));
      this.#next();
    });
    worker.unref();
    return worker;
  }

  /** Drops the thread and rejects all its jobs. The next job starts a new thread. */
  #fail(reason: Error): void {
    this.#worker = undefined;
    this.#running?.reject(reason);
    this.#running = undefined;
    for (const { reject } of this.#queue.splice(0)) reject(reason);
  }
}
