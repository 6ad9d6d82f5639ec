/** The grammar of the outputs of an order: its source, its compilation, and the errors for the caller. */
import { GrammarError } from '../../grammar/grammar-error.ts';
import type { LoadedModel } from '../../lifecycle/load-model.ts';
import type { Compiled } from '../../text/grammar/grammar-compiler.ts';
import type { GrammarSource } from '../../text/grammar/source.ts';
import { markedIds } from '../../text/output/marked-decoder.ts';
import type { Dialogue } from '../../text/tools/dialogue.ts';
import type { GenerationOrder } from '../order.ts';
import { GrammarRefusal } from './grammar-refusal.ts';
import { unspelledGrammar } from './unspelled-grammar.ts';

type FormatOrder = Pick<GenerationOrder, 'format' | 'toolFields'>;

/**
 * Compiles the grammars of the prompts of one order. Prompts without a conversation share one, whose source
 * is read once: reading a source of a megabyte takes 10 ms of the event loop.
 */
export class OrderGrammars {
  readonly #order: FormatOrder;
  readonly #model: LoadedModel;
  readonly #signal: AbortSignal;
  #shared: Promise<Compiled> | undefined;

  constructor(order: FormatOrder, model: LoadedModel, signal: AbortSignal) {
    this.#order = order;
    this.#model = model;
    this.#signal = signal;
  }

  /**
   * The grammar of the outputs of a prompt; undefined if they may be any text.
   * @throws WorkerError `INVALID_REQUEST` or `SCHEMA_TOO_COMPLEX` with the place in the body; the reason of
   *   the signal
   */
  async of(dialogue: Dialogue | undefined): Promise<Compiled | undefined> {
    if (dialogue) {
      const { grammar, markers } = dialogue;
      if (!grammar) return undefined;
      const specialIds = markedIds(this.#model.tokenizer, markers);
      return this.#compile({ kind: 'calls', calls: { ...grammar, specialIds } });
    }
    const { format } = this.#order;
    if (!format) return undefined;
    this.#shared ??= this.#compile({ kind: 'format', format: format.format });
    return this.#shared;
  }

  /** The place of a keyword: for the schema of a tool in the body, for a form in its schema. */
  #inBody(place: string): string {
    const { toolFields = [] } = this.#order;
    return place.replace(TOOL_PLACE, (whole, index) => toolFields[Number(index)] ?? whole);
  }

  async #compile(source: GrammarSource): Promise<Compiled> {
    const { grammars, vocabulary } = this.#model;
    try {
      const compiled = await grammars.compile(source, this.#signal);
      const unspelled = await unspelledGrammar(compiled.program, await vocabulary.get());
      this.#signal.throwIfAborted();
      if (unspelled) throw unspelled;
      return { ...compiled, withoutEffect: compiled.withoutEffect.map((place) => this.#inBody(place)) };
    } catch (error) {
      throw error instanceof GrammarError ? new GrammarRefusal(...placed(error, source, this.#order)) : error;
    }
  }
}

/** The beginning of a place in the schema of a tool. */
const TOOL_PLACE = /^tools\[(\d+)\]\.parameters/;

/** The error with its path in a field of the body, and the field. */
function placed(error: GrammarError, { kind }: GrammarSource, order: FormatOrder): [GrammarError, string] {
  const { format, toolFields = [] } = order;
  const formatField = format?.field ?? 'format';
  if (kind === 'format') return [error, formatField];
  const [part, index, , ...rest] = error.path;
  const within = (path: GrammarError['path']): GrammarError => new GrammarError(error.problem, path, error.message);
  if (part === 'format') return [within(error.path.slice(1)), formatField];
  if (part === 'tools' && typeof index === 'number')
    return [within(rest), toolFields[index] ?? `tools[${index}].function.parameters`];
  return [error, format ? formatField : 'tools'];
}
