/** The messages between the event loop and the thread that compiles grammars: plain data. */
import type { GrammarProblem } from '../../grammar/grammar-error.ts';
import type { PackedProgram } from '../../grammar/packed-program.ts';

/** A compiled source. */
export interface CompiledSource {
  readonly program: PackedProgram;
  /** Nodes, and states of all automata. */
  readonly states: number;
  /** Places of keywords that do not restrict the output. */
  readonly withoutEffect: readonly string[];
}

/** Parent → thread: the JSON of one source. The parent sends one job at a time. */
export interface CompileJob {
  readonly source: string;
}

/** Thread → parent, once for each job. */
export type CompileAnswer =
  | { readonly type: 'compiled'; readonly compiled: CompiledSource }
  | {
      readonly type: 'refused';
      readonly problem: GrammarProblem;
      readonly path: readonly (string | number)[];
      readonly message: string;
    }
  /** A defect. The thread continues. */
  | { readonly type: 'failed'; readonly message: string };
