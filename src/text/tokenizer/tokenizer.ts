/**
 * Converts text to ids and ids to text with the model's tokenizer. Encodes short texts on the event loop, and
 * long texts on a thread, which the first long text starts.
 */
import { TOKENIZER_THREAD_ENTRY } from '../../config/paths.ts';
import { EncodeThread } from './encode-thread.ts';
import type { Pipeline } from './pipeline.ts';
import { openPipeline, type TokenizerFiles } from './tokenizer-files.ts';

export interface EncodeOptions {
  /**
   * Adds the tokenizer's special tokens, such as a beginning-of-sequence token. False for a rendered chat
   * template.
   */
  readonly addSpecialTokens: boolean;
  /** Rejects with the signal's reason. A text that still waits for the thread is then not encoded. */
  readonly signal?: AbortSignal;
}

/** Longest text that the event loop encodes, in UTF-16 units. Takes at most 8 ms, measured. */
const INLINE_UNITS = 2_000;

export class Tokenizer {
  readonly #pipeline: Pipeline;
  readonly #thread: EncodeThread;

  private constructor(pipeline: Pipeline, thread: EncodeThread) {
    this.#pipeline = pipeline;
    this.#thread = thread;
  }

  /**
   * Reads the files. Does not start the thread.
   * @param options.threadEntry For tests: JavaScript of the thread instead of the file in dist.
   * @throws Error that names the missing or broken file.
   */
  static async open(files: TokenizerFiles, options: { readonly threadEntry?: URL } = {}): Promise<Tokenizer> {
    const entry = options.threadEntry ?? TOKENIZER_THREAD_ENTRY;
    return new Tokenizer(await openPipeline(files), new EncodeThread(entry, files));
  }

  /**
   * Ids of a text. A text of up to 2 000 UTF-16 units is encoded on the event loop; longer texts are encoded
   * on the thread, one at a time.
   * @throws the signal's reason; Error if the thread is lost (the next call starts a new one) or the
   *   tokenizer is closed.
   */
  async encode(text: string, { addSpecialTokens, signal }: EncodeOptions): Promise<number[]> {
    signal?.throwIfAborted();
    if (text.length <= INLINE_UNITS) return this.#pipeline.encode(text, addSpecialTokens);
    return this.#thread.encode({ text, addSpecialTokens }, signal);
  }

  /** Text of all ids together. Special tokens and ids without a token are left out; spaces stay unchanged. */
  decode(ids: readonly number[]): string {
    const shown = ids.filter((id) => this.isVisible(id));
    return shown.length === 0 ? '' : this.#pipeline.decode(shown);
  }

  /** False for ids that decoding leaves out. */
  isVisible(id: number): boolean {
    const token = this.#pipeline.tokenOf(id);
    return token !== undefined && !this.#pipeline.isSpecial(token);
  }

  /** Ends the thread and rejects the texts that wait for it. */
  async close(): Promise<void> {
    await this.#thread.close();
  }
}
