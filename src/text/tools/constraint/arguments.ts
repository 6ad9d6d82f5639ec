/** The arguments of the calls of one tool as a grammar. Pure. */
import { GrammarError } from '../../../grammar/grammar-error.ts';
import type { NodeId } from '../../../grammar/program.ts';
import { addSchema } from '../../../grammar/schema/schema.ts';
import type { CallFormat } from '../output-profile.ts';
import { bareNotation } from './notations.ts';
import { orderedArguments } from './ordered.ts';
import { betweenMarks, pythonic } from './rewrite.ts';
import type { CallableTool, CallsSource } from './source.ts';
import { TagNotation } from './tags.ts';
import type { Writer } from './writer.ts';

/** Called for a tool whose schema is not enforced. */
export type OnLoose = (index: number, reason: GrammarError) => void;

export interface Reports {
  readonly onLoose: OnLoose;
  /** Called with the place of each keyword that has no effect. */
  readonly ignored?: (path: GrammarError['path']) => void;
}

const placeOf = (index: number): GrammarError['path'] => ['tools', index, 'parameters'];

/** Arguments without a schema: any object. */
const ANY = { type: 'object' } as const;

export class CallArguments {
  readonly #writer: Writer;
  readonly #source: CallsSource;
  readonly #reports: Reports;
  readonly #known = new Map<number, NodeId>();

  constructor(writer: Writer, source: CallsSource, reports: Reports) {
    this.#writer = writer;
    this.#source = source;
    this.#reports = reports;
  }

  /**
   * The arguments of a tool, from behind the text `afterName`, up to the end of the last one.
   *
   * - A call that the request demands, and a call of a strict tool, has arguments by the schema.
   * - If the schema of a tool that is not strict cannot be compiled, its arguments are any object.
   *
   * @throws GrammarError for a strict tool, and `too_complex`; the path begins with `tools`, the index of the
   *   tool and `parameters`
   */
  of(index: number): NodeId {
    const known = this.#known.get(index);
    if (known !== undefined) return known;
    const node = this.#compiled(index);
    this.#known.set(index, node);
    return node;
  }

  #compiled(index: number): NodeId {
    const { tools, choice, loose = [] } = this.#source;
    const tool = tools[index];
    if (!tool) return this.#writer.choice();
    const demanded = choice === 'required' || typeof choice === 'object';
    if ((!demanded && tool.strict !== true) || loose.includes(index)) return this.#any(tool);
    try {
      const ignored = (path: GrammarError['path']): void => this.#reports.ignored?.([...placeOf(index), ...path]);
      return this.#bySchema(tool, ignored);
    } catch (error) {
      if (!(error instanceof GrammarError)) throw error;
      const placed = new GrammarError(error.problem, [...placeOf(index), ...error.path], error.message);
      // The budget of this compilation may be spent: the caller begins again.
      if (tool.strict === true || error.problem === 'too_complex') throw placed;
      this.#reports.onLoose(index, placed);
      return this.#any(tool);
    }
  }

  #bySchema(tool: CallableTool, ignored?: Reports['ignored']): NodeId {
    const { builder } = this.#writer;
    const root = addSchema(builder, tool.parameters ?? ANY, ignored ? { ignored } : {});
    const writer = this.#writer;
    const format = this.#source.calls;
    switch (format.style) {
      case 'pythonic':
        return orderedArguments(writer, root, bareNotation(writer, '=', pythonic(writer)));
      case 'gemma':
        return orderedArguments(writer, root, bareNotation(writer, ':', betweenMarks(writer, format.quote)));
      case 'tagged':
        return orderedArguments(writer, root, new TagNotation(writer, format, tool));
      default:
        return this.#objectOnly(root);
    }
  }

  /** The reader accepts an object only: a schema without a type allows other values too. */
  #objectOnly(root: NodeId): NodeId {
    const { builder } = this.#writer;
    const objects: NodeId[] = [];
    const seen = new Set([root]);
    for (const id of seen) {
      const node = builder.nodeAt(id);
      if (node.kind === 'choice') for (const item of node.items) seen.add(item);
      else if (node.kind === 'object' || (node.kind === 'literal' && node.text.startsWith('{'))) objects.push(id);
    }
    if (objects.length === 0) throw new GrammarError('unsatisfiable', [], 'allows no object, which arguments must be');
    return this.#writer.choice(...objects);
  }

  /** Any object that the reader accepts as the arguments of a call of this tool. */
  #any(tool: CallableTool): NodeId {
    const writer = this.#writer;
    const format: CallFormat = this.#source.calls;
    if (format.style === 'tagged') return new TagNotation(writer, format, tool).any();
    return this.#bySchema({ name: tool.name });
  }
}
