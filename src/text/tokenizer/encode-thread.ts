/**
 * The thread on which long texts are encoded, seen from the event loop: who waits for it, what happens when it is lost. Starts
 * tokenizer-thread.
 */
import { Worker } from 'node:worker_threads';
import type { TokenizerFiles } from './tokenizer-files.ts';

/** Parent → thread. One at a time: the thread has no queue of its own. */
export interface ThreadJob {
  readonly text: string;
  readonly addSpecialTokens: boolean;
}

/** Thread → parent. A failure is one text's, not the thread's. */
export type ThreadAnswer = { readonly ids: number[] } | { readonly failure: string };

interface PendingJob {
  readonly job: ThreadJob;
  readonly resolve: (ids: number[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** The thread and who waits for it. It never keeps the process alive. */
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

  /** A text that is on the thread already is encoded to its end, for nobody. */
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
    // Options of the process (--input-type, --import of a test) are not the thread's.
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

  /** Forgets the thread and rejects whoever waits for it. */
  #fail(reason: Error): void {
    this.#worker = undefined;
    this.#running?.reject(reason);
    this.#running = undefined;
    for (const { reject } of this.#queue.splice(0)) reject(reason);
  }
}
