/**
 * Text becomes ids and ids become text, by the model's own tokenizer. Short texts are encoded at once, long ones on a thread that is
 * started when the first one comes. Reads two files of the model's folder; the only importer of @huggingface/tokenizers.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { z } from 'zod';
import { TOKENIZER_THREAD_ENTRY } from '../places.ts';

/** Paths of the files a tokenizer is made of. */
export interface TokenizerFiles {
  readonly tokenizerFile: string;
  /** Absent: what a tokenizer is without its configuration. */
  readonly tokenizerConfigFile?: string;
}

export interface EncodeOptions {
  /** Whether the tokenizer's own frame (a beginning-of-sequence token) is put round the ids. No, for a rendered chat template. */
  readonly addSpecialTokens: boolean;
  /** Rejects with the signal's reason; a text that still waits for the thread is then never encoded. */
  readonly signal?: AbortSignal;
}

/** Parent → thread. One at a time: the thread has no queue of its own. */
export interface ThreadJob {
  readonly text: string;
  readonly addSpecialTokens: boolean;
}

/** Thread → parent. A failure is one text's, not the thread's. */
export type ThreadAnswer = { readonly ids: number[] } | { readonly failure: string };

/** Longest text that is encoded on the event loop, in UTF-16 units: at most 8 ms of it, measured. */
const INLINE_UNITS = 2_000;

const fields = z.looseObject({});
const names = z.array(z.unknown()).nullish();

interface Opened {
  readonly library: Library;
  /** Texts of the tokens that decoding leaves out. */
  readonly special: ReadonlySet<unknown>;
}

/**
 * Reads both files.
 * @throws Error naming the file: it cannot be read, or the library does not know what it asks for.
 */
export async function openLibrary(files: TokenizerFiles): Promise<Opened> {
  const [tokenizer, config] = await Promise.all([
    readFields(files.tokenizerFile),
    files.tokenizerConfigFile === undefined ? fields.parse({}) : readFields(files.tokenizerConfigFile),
  ]);
  try {
    const library = new Library(tokenizer, config);
    const added = [...library.get_added_tokens_decoder().values()];
    const special = new Set<unknown>(added.filter((token) => token.special).map((token) => token.content));
    for (const name of names.safeParse(config['additional_special_tokens']).data ?? []) special.add(name);
    return { library, special };
  } catch (cause) {
    throw broken(files.tokenizerFile, cause);
  }
}

/** Ids of a text. What a vocabulary without an unknown token cannot say gives none, as in the Rust library. */
export function encodeWith(library: Library, text: string, addSpecialTokens: boolean): number[] {
  return library.encode(text, { add_special_tokens: addSpecialTokens }).ids.filter(Number.isInteger);
}

export class Tokenizer {
  readonly #library: Library;
  readonly #special: ReadonlySet<unknown>;
  readonly #thread: EncodeThread;

  private constructor({ library, special }: Opened, thread: EncodeThread) {
    this.#library = library;
    this.#special = special;
    this.#thread = thread;
  }

  /**
   * Reads the files; no thread is started yet. Takes 0.2–0.4 s for a vocabulary of 50 000.
   * @param options.threadEntry JavaScript of the thread, when not the file beside this one.
   * @throws Error naming the file that is missing or broken.
   */
  static async open(files: TokenizerFiles, options: { readonly threadEntry?: URL } = {}): Promise<Tokenizer> {
    const entry = options.threadEntry ?? TOKENIZER_THREAD_ENTRY;
    return new Tokenizer(await openLibrary(files), new EncodeThread(entry, files));
  }

  /**
   * Ids of a text: at once up to 2 000 UTF-16 units, otherwise on the thread, one text after the other.
   * @throws the signal's reason; Error when the thread is lost (the next call starts a new one) or the tokenizer is closed.
   */
  async encode(text: string, { addSpecialTokens, signal }: EncodeOptions): Promise<number[]> {
    signal?.throwIfAborted();
    if (text.length <= INLINE_UNITS) return encodeWith(this.#library, text, addSpecialTokens);
    return this.#thread.encode({ text, addSpecialTokens }, signal);
  }

  /** Text of all ids together; special tokens and ids without a token are left out, spaces stay as they are. */
  decode(ids: readonly number[]): string {
    const shown = ids.filter((id) => this.shows(id));
    if (shown.length === 0) return '';
    return this.#library.decode(shown, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  }

  /** Whether decoding gives an id at all. */
  shows(id: number): boolean {
    const token = this.#library.id_to_token(id);
    return token !== undefined && !this.#special.has(token);
  }

  /** Ends the thread; long texts that wait for it are rejected. */
  async close(): Promise<void> {
    await this.#thread.close();
  }
}

interface Waiting {
  readonly job: ThreadJob;
  readonly resolve: (ids: number[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** The thread and who waits for it. It never keeps the process alive. */
class EncodeThread {
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

async function readFields(file: string): Promise<Record<string, unknown>> {
  try {
    return fields.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw broken(file, cause);
  }
}

function broken(file: string, cause: unknown): Error {
  return new Error(`${basename(file)} cannot be used: ${cause instanceof Error ? cause.message : cause}`, { cause });
}
