/**
 * Text becomes ids and ids become text, by the model's own tokenizer. Short texts are encoded at once, long ones on a thread that is
 * started when the first one comes.
 */
import { TOKENIZER_THREAD_ENTRY } from '../../config/paths.ts';
import { EncodeThread } from './encode-thread.ts';
import type { Pipeline } from './pipeline.ts';
import { openPipeline, type TokenizerFiles } from './tokenizer-files.ts';

export interface EncodeOptions {
  /** Whether the tokenizer's own frame (a beginning-of-sequence token) is put round the ids. No, for a rendered chat template. */
  readonly addSpecialTokens: boolean;
  /** Rejects with the signal's reason; a text that still waits for the thread is then never encoded. */
  readonly signal?: AbortSignal;
}

/** Longest text that is encoded on the event loop, in UTF-16 units: at most 8 ms of it, measured. */
const INLINE_UNITS = 2_000;

export class Tokenizer {
  readonly #pipeline: Pipeline;
  readonly #thread: EncodeThread;

  private constructor(pipeline: Pipeline, thread: EncodeThread) {
    this.#pipeline = pipeline;
    this.#thread = thread;
  }

  /**
   * Reads the files; no thread is started yet.
   * @param options.threadEntry JavaScript of the thread, when not the file beside this one.
   * @throws Error naming the file that is missing or broken.
   */
  static async open(files: TokenizerFiles, options: { readonly threadEntry?: URL } = {}): Promise<Tokenizer> {
    const entry = options.threadEntry ?? TOKENIZER_THREAD_ENTRY;
    return new Tokenizer(await openPipeline(files), new EncodeThread(entry, files));
  }

  /**
   * Ids of a text: at once up to 2 000 UTF-16 units, otherwise on the thread, one text after the other.
   * @throws the signal's reason; Error when the thread is lost (the next call starts a new one) or the tokenizer is closed.
   */
  async encode(text: string, { addSpecialTokens, signal }: EncodeOptions): Promise<number[]> {
    signal?.throwIfAborted();
    if (text.length <= INLINE_UNITS) return this.#pipeline.encode(text, addSpecialTokens);
    return this.#thread.encode({ text, addSpecialTokens }, signal);
  }

  /** Text of all ids together; special tokens and ids without a token are left out, spaces stay as they are. */
  decode(ids: readonly number[]): string {
    const shown = ids.filter((id) => this.isVisible(id));
    return shown.length === 0 ? '' : this.#pipeline.decode(shown);
  }

  /** Whether decoding gives an id at all. */
  isVisible(id: number): boolean {
    const token = this.#pipeline.tokenOf(id);
    return token !== undefined && !this.#pipeline.isSpecial(token);
  }

  /** Ends the thread; long texts that wait for it are rejected. */
  async close(): Promise<void> {
    await this.#thread.close();
  }
}
