/** The messages between the event loop and the tokenizer's thread: plain data. */
import type { Violation } from '../../contract/errors.ts';
import type { TemplateSource } from '../template/chat-template.ts';
import type { Conversation } from '../template/conversation.ts';
import type { AddedToken } from '../tokenizer/added-tokens.ts';
import type { EncodeErrorKind } from '../tokenizer/encode-error.ts';
import type { TokenizerFiles } from '../tokenizer/tokenizer-files.ts';
import type { CommonAnswer } from './thread-role.ts';

/** A text, or a conversation for the model's chat template. */
export type EncodeInput = string | Conversation;

/** Parent → thread: one prompt to encode. The parent sends one job at a time. */
export interface EncodeJob {
  readonly input: EncodeInput;
  /** Name of the template for messages. */
  readonly template?: string | undefined;
  readonly addSpecialTokens: boolean;
  /** Most tokens that the caller can use. A longer text may be refused before it is encoded. */
  readonly mostTokens: number;
}

/** Paths and sources that the thread opens. */
export interface ThreadData {
  readonly files: TokenizerFiles;
  /** Tokens that other files of the model add to tokenizer.json, or state with other flags. */
  readonly addedTokens: readonly AddedToken[];
  /** With different names. */
  readonly templates: readonly TemplateSource[];
}

/** Thread → parent, once for each job. */
export type JobAnswer =
  | { readonly type: 'ids'; readonly ids: number[] }
  /** The template refuses the messages. */
  | { readonly type: 'refused'; readonly violations: readonly Violation[] }
  | {
      readonly type: 'not_encoded';
      readonly kind: EncodeErrorKind;
      readonly message: string;
      readonly leastTokens: number;
    }
  /** A defect. The thread continues. */
  | { readonly type: 'failed'; readonly message: string };

/** Thread → parent. `ready` or `unusable` comes once, first. */
export type ThreadAnswer = CommonAnswer | JobAnswer;
