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

interface Waiting {
  readonly job: ThreadJob;
  readonly resolve: (ids: number[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** The thread and who waits for it. It never keeps the process alive. */
export class EncodeThread {
  readonly #entry: URL;
  readonly #files: TokenizerFiles;
  #worker: Worker | undefined;
  #running: Waiting | undefined;
  readonly #waiting: Waiting[] = [];
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
        const waiting = { job, resolve, reject };
        const leave = (): void => this.#leave(waiting, signal?.reason);
        signal?.addEventListener('abort', leave, { once: true, signal: settled.signal });
        this.#waiting.push(waiting);
        this.#next();
      });
    } finally {
      settled.abort();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#end(new Error('The tokenizer is closed.'));
    await worker?.terminate();
  }

  /** A text that is on the thread already is encoded to its end, for nobody. */
  #leave(waiting: Waiting, reason: unknown): void {
    const place = this.#waiting.indexOf(waiting);
    if (place >= 0) this.#waiting.splice(place, 1);
    waiting.reject(reason);
  }

  #next(): void {
    if (this.#running !== undefined || this.#waiting.length === 0) return;
    this.#worker ??= this.#start();
    this.#running = this.#waiting.shift();
    this.#worker.postMessage(this.#running?.job);
  }

  #start(): Worker {
    // Options of the process (--input-type, --import of a test) are not the thread's.
    const worker = new Worker(this.#entry, { workerData: this.#files, execArgv: [] });
    const lost = (cause: unknown): void => {
      if (this.#worker === worker) this.#end(new Error('The tokenizer thread was lost.', { cause }));
    };
    worker.on('error', lost);
    worker.on('exit', (code) => lost(new Error(`It exited with code ${code}.`)));
    worker.on('message', (answer: ThreadAnswer) => {
      if (this.#worker !== worker) return;
      const asked = this.#running;
      this.#running = undefined;
      if ('ids' in answer) asked?.resolve(answer.ids);
      else asked?.reject(new Error(`The text could not be encoded: ${answer.failure}`));
      this.#next();
    });
    worker.unref();
    return worker;
  }

  /** Forgets the thread and rejects whoever waits for it. */
  #end(reason: Error): void {
    this.#worker = undefined;
    this.#running?.reject(reason);
    this.#running = undefined;
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }
}
