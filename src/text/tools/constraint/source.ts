/** The source of the grammar of an output of a conversation: plain data. Types only. */
import type { OutputFormat } from '../../../grammar/output-format.ts';
import type { FunctionTool } from '../../template/conversation.ts';
import type { CallFormat, ReasoningFormat } from '../output-profile.ts';
import type { ToolUse } from '../tool-use.ts';

/** The part of a tool that decides the texts of its calls. */
export type CallableTool = Pick<FunctionTool, 'name' | 'parameters' | 'strict'>;

export interface CallsSource {
  readonly calls: CallFormat;
  readonly reasoning?: ReasoningFormat;
  /** Tools that the output may call; empty: none. */
  readonly tools: readonly CallableTool[];
  /**
   * `required` or a name: the prompt holds the beginning of the first call (`callStart` of dialogue.ts), and
   * the grammar begins behind it.
   */
  readonly choice: ToolUse['choice'];
  readonly parallel: boolean;
  /** The prompt ends inside the reasoning. */
  readonly inReasoning: boolean;
  /** The prompt ends with a beginning of the answer, which the request gives. */
  readonly continues: boolean;
  /** The form of an answer without calls. Absent: any text. */
  readonly format?: OutputFormat;
  /** Special tokens that the reader of the output sees: text → id. `markedIds` of the tokenizer. */
  readonly specialIds: Readonly<Record<string, number>>;
  /** Indices of tools whose schema is not enforced, because it cannot be compiled. */
  readonly loose?: readonly number[];
}
