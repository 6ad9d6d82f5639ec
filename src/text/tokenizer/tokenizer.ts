/**
 * Converts text to ids and ids to text with the model's tokenizer and chat template. Encodes short texts on
 * the event loop if the work is bounded there, and all others on a thread with a deadline. Decoding, which
 * every token needs, runs on the event loop; a tokenizer whose decoding is not bounded is not opened.
 */
import { TOKENIZER_THREAD_ENTRY } from '../../config/paths.ts';
import { cut, harmless } from '../../narration/sanitize.ts';
import { inSlices, type Steps } from '../../protocol/start/slices.ts';
import type { Decoder } from '../output/detokenizer.ts';
import type { ChatTemplate } from '../template/chat-template.ts';
import type { Conversation } from '../template/conversation.ts';
import { RenderBudgetError, type RenderLimits } from '../template/render-limits.ts';
import { type EncodeThread, encodeThread, type ThreadLimits, unitsOf } from '../thread/encode-thread.ts';
import type { EncodeInput } from '../thread/thread-messages.ts';
import type { AddedToken } from './added-tokens.ts';
import type { Definition } from './definition.ts';
import { EncodeError } from './encode-error.ts';
import { hasShortTokens, isKnownShape } from './loop-shape.ts';
import { vocabularyOfModel } from './models/model.ts';
import { Pipeline } from './pipeline.ts';
import type { TokenForm } from './token-form.ts';
import { TokenTexts } from './token-texts.ts';
import { naming, readDefinition, sharedContent, type TokenizerFiles } from './tokenizer-files.ts';

/** UTF-16 units of a token that an error shows. */
const MAX_SHOWN_TOKEN = 64;

export interface OpenOptions {
  /** Render messages; with different names. Absent: only texts can be encoded. */
  readonly templates?: readonly ChatTemplate[];
  /** Tokens that other files of the model add to tokenizer.json, or state with other flags. */
  readonly addedTokens?: readonly AddedToken[];
  /** Called when the thread was ended because of a job that took too much time or memory. */
  readonly onThreadReplaced?: (reason: string) => void;
  /** For tests: JavaScript of the thread instead of the file in dist. */
  readonly threadEntry?: URL;
  /** For tests: other limits of the thread. */
  readonly threadLimits?: ThreadLimits;
}

export interface EncodeOptions {
  /**
   * Adds the tokenizer's special tokens, such as a beginning-of-sequence token. False for a rendered chat
   * template.
   */
  readonly addSpecialTokens: boolean;
  /** Renders messages, one of those that the tokenizer was opened with; absent: the first of them. */
  readonly template?: ChatTemplate;
  /** Most tokens that the caller can use; absent: any number. */
  readonly mostTokens?: number;
  /** Rejects with the signal's reason. A text that still waits for the thread is then not encoded. */
  readonly signal?: AbortSignal;
}

/**
 * Longest text that the event loop encodes, in UTF-16 units. Takes 8 ms at most for usual texts, 32 ms for
 * hostile ones.
 */
export const LOOP_UNITS = 2_000;
/** UTF-16 units of the longest text that a stage may make on the event loop; longer ones go to the thread. */
export const LOOP_STAGE_UNITS = 2 ** 14;
/**
 * UTF-16 units of the longest messages that the event loop renders: the time of one step of a template grows
 * with the messages.
 */
export const LOOP_MESSAGE_UNITS = 2 ** 14;
/** Limits of a rendering on the event loop; one that needs more is done again on the thread. */
export const LOOP_RENDER: RenderLimits = { ms: 10, steps: 20_000, text: 2 ** 16 };

export class Tokenizer {
  readonly #texts: TokenTexts;
  /** Undefined if nothing bounds the time of an encoding: the event loop then encodes nothing. */
  readonly #pipeline: Pipeline | undefined;
  readonly #templates: readonly ChatTemplate[];
  readonly #thread: EncodeThread;

  private constructor(parts: {
    readonly texts: TokenTexts;
    readonly pipeline: Pipeline | undefined;
    readonly templates: readonly ChatTemplate[];
    readonly thread: EncodeThread;
  }) {
    this.#texts = parts.texts;
    this.#pipeline = parts.pipeline;
    this.#templates = parts.templates;
    this.#thread = parts.thread;
  }

  /**
   * Reads the files. Starts the thread only for a tokenizer with unknown patterns, which cannot be opened on
   * the event loop either.
   * @throws Error that names the missing or broken file.
   */
  static async open(files: TokenizerFiles, options: OpenOptions = {}): Promise<Tokenizer> {
    const { templates = [], addedTokens = [], threadLimits, onThreadReplaced: onReplaced } = options;
    const definition = await readDefinition(files, addedTokens);
    const thread = encodeThread({
      entry: options.threadEntry ?? TOKENIZER_THREAD_ENTRY,
      data: {
        files: await threadFiles(files),
        addedTokens,
        templates: templates.map(({ source }) => source),
      },
      ...(threadLimits && { limits: threadLimits }),
      onReplaced,
    });
    const { texts, pipeline } = await naming(files.tokenizerFile, () => inSlices(parts(definition)));
    if (!pipeline) await thread.start();
    return new Tokenizer({ texts, pipeline, templates, thread });
  }

  /**
   * Ids of a text, or of a conversation rendered with the chat template.
   * @throws the signal's reason; WorkerError INVALID_REQUEST if the template refuses the messages;
   *   EncodeError if the text is too long or takes too much time, text or memory; Error if the thread is lost
   *   (the next call starts a new one) or the tokenizer is closed.
   */
  async encode(input: EncodeInput, options: EncodeOptions): Promise<number[]> {
    const { addSpecialTokens, mostTokens = Number.POSITIVE_INFINITY, signal } = options;
    signal?.throwIfAborted();
    const template = options.template ?? this.#templates[0];
    const text = typeof input === 'string' ? input : renderedOnLoop(input, template);
    const job = { input: text ?? input, template: template?.source.name, addSpecialTokens, mostTokens };
    if (text !== undefined && this.#pipeline) {
      this.#pipeline.checkFits(text, mostTokens);
      if (text.length <= LOOP_UNITS) {
        try {
          return this.#pipeline.encode(text, addSpecialTokens, { units: LOOP_STAGE_UNITS, tokens: mostTokens });
        } catch (error) {
          if (!(error instanceof EncodeError && error.kind === 'too_much_text')) throw error;
        }
      }
    }
    return this.#thread.run(job, signal);
  }

  /**
   * Text of all ids together. Special tokens and ids without a token are left out; spaces stay unchanged.
   * @param marked special tokens that are not left out
   */
  decode(ids: readonly number[], marked?: ReadonlySet<number>): string {
    const shown = ids.filter((id) => this.isVisible(id) || marked?.has(id) === true);
    return shown.length === 0 ? '' : this.#texts.decode(shown);
  }

  /** Decodes special tokens too: only ids without a token are left out. */
  get complete(): Decoder {
    return {
      decode: (ids) => (ids.length === 0 ? '' : this.#texts.decode(ids)),
      isVisible: (id) => this.tokenOf(id) !== undefined,
    };
  }

  /** The token of an id as the vocabulary has it; undefined for an id without a token. */
  tokenOf(id: number): string | undefined {
    return this.#texts.tokenOf(id);
  }

  /** False for ids that decoding leaves out. */
  isVisible(id: number): boolean {
    const token = this.#texts.tokenOf(id);
    return token !== undefined && !this.#texts.isSpecial(token);
  }

  /** The special tokens: id → text. Made anew at each call. */
  get specialTokens(): ReadonlyMap<number, string> {
    return this.#texts.special;
  }

  /** Text of a special token; undefined for every other id. */
  specialText(id: number): string | undefined {
    const token = this.#texts.tokenOf(id);
    return token !== undefined && this.#texts.isSpecial(token) ? token : undefined;
  }

  /**
   * Text and bytes of one id within a text: `' the'`, and not `'the'`, for a token that begins a word. A
   * special token has its name as its text; an id without a token has neither text nor bytes.
   */
  formOf(id: number): TokenForm {
    return this.#texts.formOf(id);
  }

  /**
   * The exact bytes that an id adds to a text, also of a part of a character; undefined for special tokens,
   * and for ids without a token or without text. Takes about 1 µs.
   */
  bytesOf(id: number): ArrayLike<number> | undefined {
    return this.#texts.bytesOf(id);
  }

  /** The token of an id as an error shows it: from the tokenizer's file, in quotes, harmless and cut. */
  shownToken(id: number): string {
    const token = (this.#texts.tokenOf(id) ?? '').slice(0, 2 * MAX_SHOWN_TOKEN);
    return JSON.stringify(cut(harmless(token), MAX_SHOWN_TOKEN));
  }

  /** Ends the thread and rejects the texts that wait for it. */
  async close(): Promise<void> {
    await this.#thread.close();
  }
}

/** The decoding half, and the encoding half if the event loop may use it. */
function* parts(
  definition: Definition,
): Steps<{ readonly texts: TokenTexts; readonly pipeline: Pipeline | undefined }> {
  const known = isKnownShape(definition) ? yield* Pipeline.steps(definition) : undefined;
  const pipeline = known && hasShortTokens(known) ? known : undefined;
  const vocabulary = pipeline?.model.vocabulary ?? (yield* vocabularyOfModel(definition.model));
  return { texts: new TokenTexts(definition, vocabulary), pipeline };
}

/** The files for the thread. A copy of the fields of a large vocabulary would take long. */
async function threadFiles({ tokenizerFile, content }: TokenizerFiles): Promise<TokenizerFiles> {
  if (content === undefined) return { tokenizerFile };
  const isShared = content instanceof SharedArrayBuffer;
  return { tokenizerFile, content: isShared ? content : await inSlices(sharedContent(content)) };
}

/** The text of a conversation; undefined if the thread must render it. */
function renderedOnLoop(conversation: Conversation, template: ChatTemplate | undefined): string | undefined {
  if (unitsOf(conversation) > LOOP_MESSAGE_UNITS) return undefined;
  try {
    return template?.render(conversation, LOOP_RENDER);
  } catch (error) {
    if (error instanceof RenderBudgetError) return undefined;
    throw error;
  }
}
