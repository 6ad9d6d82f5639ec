/**
 * The source of the grammar of one output: plain data, which crosses to the thread of the compiler. Equal
 * sources have equal grammars.
 */
import type { OutputFormat } from '../../grammar/output-format.ts';

/** The end of a reasoning: a special token by its id, or a text. */
export type ReasoningEnd = { readonly token: number } | { readonly text: string };

/** The rest of a reasoning that the prompt has begun: any text, then its end. */
export interface ReasoningRest {
  readonly end: ReasoningEnd;
  /** Exact text between the end of the reasoning and the body; may be empty. */
  readonly gap: string;
}

/** A value that the caller demands as the whole answer. */
export interface FormatSource {
  readonly kind: 'format';
  readonly format: OutputFormat;
}

export interface GrammarSource {
  /** Comes before the body. Absent: the output begins with the body. */
  readonly lead?: ReasoningRest;
  readonly body: FormatSource;
}
