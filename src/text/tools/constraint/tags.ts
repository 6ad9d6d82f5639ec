/**
 * Arguments of calls between tags. The reader gives a text its type by the schema: the grammar lets through
 * only texts that the reader turns into a value of the schema. Pure.
 */
import type { Budget } from '../../../grammar/budget.ts';
import type { CharAutomaton, GrammarNode, MemberGroup, NodeId } from '../../../grammar/program.ts';
import { complement, intersect, unite } from '../../../grammar/regular/operations.ts';
import type { FunctionTool } from '../../template/conversation.ts';
import type { TaggedCalls } from '../output-profile.ts';
import { typesOf } from '../reading/schema-types.ts';
import { bareNames, isBareName } from './notations.ts';
import type { ArgumentNotation } from './ordered.ts';
import { avoiding, charsOf, Rewriter } from './rewrite.ts';
import { stopOf, textsOf, textWithout, type Writer } from './writer.ts';

/**
 * Texts that the reader may take for another value than a text: numbers, words, and all that begins as an
 * object, a list or a text in quotes.
 */
const OTHER_VALUES = `[ \\t\\r\\n]*(?:["'({\\[][\\s\\S]*|(?:[-+]?[0-9.][A-Za-z0-9_.+-]*|true|false|null|True|False|None)\\s*)`;

/** The forms of one value. */
interface Forms {
  /** Texts. */
  readonly text?: NodeId | undefined;
  /** Other values, as JSON. */
  readonly json?: NodeId | undefined;
}

export class TagNotation implements ArgumentNotation {
  readonly #writer: Writer;
  readonly #format: TaggedCalls;
  readonly #tool: FunctionTool;
  readonly #rewriter: Rewriter;
  readonly #free: CharAutomaton;
  readonly separator: NodeId;

  constructor(writer: Writer, format: TaggedCalls, tool: FunctionTool) {
    const stop = stopOf(format.valueClose);
    this.#writer = writer;
    this.#format = format;
    this.#tool = tool;
    this.#rewriter = new Rewriter(writer, avoiding(writer, [stop]));
    this.#free = textWithout([stop], writer.builder.budget);
    this.separator = writer.lineBreak;
  }

  argument(name: string, value: NodeId): NodeId | undefined {
    if (!isBareName(name)) return undefined;
    const writer = this.#writer;
    return this.#tagged(writer.text(name), this.#forms(value, typesOf(this.#tool, name)));
  }

  /** The reader takes the value of an unknown argument as a text. */
  other(group: MemberGroup): NodeId | undefined {
    const names = bareNames(this.#writer, group);
    return names && this.#tagged(this.#writer.chars(names), this.#forms(group.value, undefined));
  }

  /** Any arguments: the reader gives each of them a value of JSON. */
  any(): NodeId {
    const writer = this.#writer;
    const names = bareNames(writer, { value: 0 });
    const text = writer.chars(this.#free);
    const one = names && this.#tagged(writer.chars(names), { text, json: text });
    if (one === undefined) return writer.sequence();
    return writer.optional(writer.sequence(one, writer.repeat(writer.sequence(this.separator, one))));
  }

  #tagged(name: NodeId, { text, json }: Forms): NodeId | undefined {
    const writer = this.#writer;
    const { keyOpen, keyClose, otherKeyClose, valueClose, lines } = this.#format;
    const line = lines ? '\n' : '';
    const values: NodeId[] = [];
    if (text !== undefined) values.push(writer.sequence(writer.text(keyClose + line), text));
    if (json !== undefined) values.push(writer.sequence(writer.text(otherKeyClose + line), json));
    if (values.length === 0) return undefined;
    return writer.sequence(writer.text(keyOpen), name, writer.choice(...values), writer.text(line + valueClose));
  }

  /** @param types the types that the reader knows for the argument; undefined: a text only */
  #forms(value: NodeId, types: ReadonlySet<string> | undefined): Forms {
    const { budget } = this.#writer.builder;
    const { keyClose, otherKeyClose } = this.#format;
    const marked = keyClose !== otherKeyClose;
    const parts = this.#parts(value);
    const others = parts.json.filter(({ type }) => marked || types?.has(type) === true);
    const all = parts.texts.length === 0 ? undefined : unite(parts.texts, budget);
    const isText = marked || types === undefined;
    const texts = all && !isText ? withoutOtherValues(all, budget) : all;
    const inside = texts && intersect(texts, this.#free, budget);
    const json = others.map(({ node }) => this.#rewriter.rewrite(node));
    const written = json.filter((node) => this.#writer.builder.nodeAt(node).kind !== 'nothing');
    return {
      text: inside && this.#writer.chars(inside),
      json: written.length > 0 ? this.#writer.choice(...written) : undefined,
    };
  }

  /** Divides a value into texts and other values of JSON. */
  #parts(root: NodeId): Parts {
    const { builder } = this.#writer;
    const parts: Parts = { texts: [], json: [] };
    const seen = new Set([root]);
    for (const id of seen) {
      const node = builder.nodeAt(id);
      if (node.kind === 'choice') {
        for (const item of node.items) seen.add(item);
        continue;
      }
      const isLeaf = node.kind === 'literal' || node.kind === 'string' || node.kind === 'text';
      const chars = isLeaf ? charsOf(node, builder.budget) : undefined;
      if (chars) parts.texts.push(chars);
      else for (const type of typesOfNode(node)) parts.json.push({ node: id, type });
    }
    return parts;
  }
}

/** The texts that do not match a pattern; made once in a process. */
const plainTexts = new Map<string, CharAutomaton | undefined>();

/** The texts that the reader takes for a text, whatever the types of the argument are. */
function withoutOtherValues(texts: CharAutomaton, budget: Budget): CharAutomaton | undefined {
  const plain = plainTexts.get(OTHER_VALUES) ?? complement(textsOf(OTHER_VALUES, budget), budget);
  plainTexts.set(OTHER_VALUES, plain);
  return plain && intersect(texts, plain, budget);
}

interface Parts {
  readonly texts: CharAutomaton[];
  readonly json: { readonly node: NodeId; readonly type: string }[];
}

/** The type that the reader finds in a text of JSON. Numbers are the only values of characters. */
function typesOfNode(node: GrammarNode): readonly string[] {
  switch (node.kind) {
    case 'array':
    case 'object':
      return [node.kind];
    case 'chars':
      return ['number', 'integer'];
    case 'literal':
      return typesOfValue(JSON.parse(node.text));
    default:
      return [];
  }
}

function typesOfValue(value: unknown): readonly string[] {
  if (value === null) return ['null'];
  if (Array.isArray(value)) return ['array'];
  return typeof value === 'number' ? ['number', 'integer'] : [typeof value];
}
