/**
 * The parts of an output: the answer, reasoning, and tool calls. Every dialect of a chat has its own wire
 * form for them. Types only.
 */

/** A piece of one part of an output. Pieces of text are never empty. */
export type OutputPart =
  /** Text of the answer. */
  | { readonly kind: 'content'; readonly text: string }
  /** Text of the reasoning before the answer. */
  | { readonly kind: 'reasoning'; readonly text: string }
  /** The beginning of a tool call. `index` counts the calls of the output: 0, 1, 2, … */
  | { readonly kind: 'call'; readonly index: number; readonly id: string; readonly name: string }
  /**
   * Text of the arguments of the call `index`: all pieces joined are a JSON object, except for a broken call.
   */
  | { readonly kind: 'arguments'; readonly index: number; readonly text: string };

/** Divides the text of one output, which arrives in pieces, into parts. Never throws for any text. */
export interface OutputParser {
  /** The parts that the next text completes. A text is returned as soon as its part is certain. */
  push(text: string): readonly OutputPart[];
  /**
   * Ends the text: the rest, which is content if it is not a call.
   * @param complete true: the model has ended the output itself, so a call whose brackets are open gets them
   *   closed; default false: a limit has cut the output
   */
  finish(complete?: boolean): readonly OutputPart[];
  /** True while the last text belongs to the reasoning: its tokens count as reasoning tokens. */
  readonly reasoning: boolean;
  /** True if the output has all calls that the request allows: the generation can stop. */
  readonly done: boolean;
  /** Number of tool calls begun so far. */
  readonly calls: number;
  /** Number of texts that looked like a tool call and could not be parsed, in full or in part. */
  readonly unparsed: number;
}
