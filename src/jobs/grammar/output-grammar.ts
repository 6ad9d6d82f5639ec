/** The grammar of the outputs of an order: its source, and its compilation. */
import { GrammarError } from '../../grammar/grammar-error.ts';
import type { Compiled, GrammarCompiler } from '../../text/grammar/grammar-compiler.ts';
import type { GrammarSource } from '../../text/grammar/source.ts';
import type { GenerationOrder } from '../order.ts';
import { GrammarRefusal } from './grammar-refusal.ts';

/** The grammar that an order demands. */
export interface DemandedGrammar {
  readonly source: GrammarSource;
  /** The field of the body that demands it: the beginning of an error's place. */
  readonly field: string;
}

/** The grammar of the outputs of an order; undefined if they may be any text. */
export function demandedGrammar({ format }: Pick<GenerationOrder, 'format'>): DemandedGrammar | undefined {
  return format && { source: { kind: 'format', format: format.format }, field: format.field };
}

/**
 * Compiles the grammars of the prompts of one order. A grammar that several prompts share is compiled, and its
 * source is read, once: reading a source of a megabyte takes 10 ms of the event loop.
 */
export class OrderGrammars {
  readonly #compiler: Pick<GrammarCompiler, 'compile'>;
  readonly #signal: AbortSignal;
  readonly #compiling = new Map<DemandedGrammar, Promise<Compiled>>();

  constructor(compiler: Pick<GrammarCompiler, 'compile'>, signal: AbortSignal) {
    this.#compiler = compiler;
    this.#signal = signal;
  }

  /**
   * @throws WorkerError `INVALID_REQUEST` or `SCHEMA_TOO_COMPLEX` with the place in the body; the reason of
   *   the signal
   */
  async compile(demanded: DemandedGrammar): Promise<Compiled> {
    const compiling = this.#compiling.get(demanded) ?? this.#compile(demanded);
    this.#compiling.set(demanded, compiling);
    return compiling;
  }

  async #compile({ source, field }: DemandedGrammar): Promise<Compiled> {
    try {
      return await this.#compiler.compile(source, this.#signal);
    } catch (error) {
      throw error instanceof GrammarError ? new GrammarRefusal(error, field) : error;
    }
  }
}
