/**
 * The source of the grammar of one output: plain data, which crosses to the thread of the compiler. Equal
 * sources have equal grammars. Types only.
 */
import type { OutputFormat } from '../../grammar/output-format.ts';

/** The whole output has a form. */
export interface FormatSource {
  readonly kind: 'format';
  readonly format: OutputFormat;
}

export type GrammarSource = FormatSource;
