/**
 * Renders and encodes one prompt. Shared by the event loop and the thread, which differ in their limits.
 * Pure, except for the clock of the template.
 */
import type { ChatMessage, ChatTemplate } from '../template/chat-template.ts';
import type { EncodeLimits, Pipeline } from '../tokenizer/pipeline.ts';

/** A text, or messages for the model's chat template. */
export type EncodeInput = string | readonly ChatMessage[];

/** One prompt to encode. */
export interface EncodeJob {
  readonly input: EncodeInput;
  readonly addSpecialTokens: boolean;
  /** Most tokens that the caller can use. A longer text may be refused before it is encoded. */
  readonly mostTokens: number;
}

/** UTF-16 units of an input: the measure of its work. */
export function unitsOf(input: EncodeInput): number {
  if (typeof input === 'string') return input.length;
  return input.reduce((sum, { role, content }) => sum + role.length + content.length, 0);
}

/**
 * @throws WorkerError INVALID_REQUEST if the template refuses the messages; EncodeError if the text is too
 *   long or cannot be encoded
 */
export function encodeInput(
  { input, addSpecialTokens, mostTokens }: EncodeJob,
  pipeline: Pipeline,
  template: ChatTemplate | undefined,
  units: EncodeLimits['units'],
): number[] {
  const text = typeof input === 'string' ? input : template?.render(input);
  if (text === undefined) throw new Error('Messages need a chat template, and the tokenizer was opened without one.');
  return pipeline.encode(text, addSpecialTokens, { units, tokens: mostTokens });
}
