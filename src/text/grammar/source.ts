/**
 * The source of the grammar of one output: plain data, which crosses to the thread of the compiler. Equal
 * sources have equal grammars. Types only.
 */
import type { OutputFormat } from '../../grammar/output-format.ts';
import type { CallsSource } from '../tools/constraint/source.ts';

export type GrammarSource =
  /** The whole output has a form. */
  | { readonly kind: 'format'; readonly format: OutputFormat }
  /** The output of a conversation: reasoning, and an answer of a form or calls. */
  | { readonly kind: 'calls'; readonly calls: CallsSource };
