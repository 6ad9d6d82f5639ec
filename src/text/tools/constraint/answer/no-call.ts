/**
 * Answers of a form beside tools of a format without markers, such as `{"name": …, "parameters": {…}}`: the
 * reader takes each output that begins as a call for a call. So the answer avoids the texts of calls. Pure.
 */
import type { CharAutomaton, GrammarNode, MemberGroup, NodeId } from '../../../../grammar/program.ts';
import { anyText, intersect, subtract, unite } from '../../../../grammar/regular/operations.ts';
import { patternAutomaton } from '../../../../grammar/regular/pattern.ts';
import { wordsAutomaton } from '../../../../grammar/regular/words.ts';
import type { CallFormat, JsonCalls } from '../../output-profile.ts';
import { charsOf } from '../rewrite.ts';
import type { CallsSource } from '../source.ts';
import { textWithout, type Writer } from '../writer.ts';

type Node<Kind extends GrammarNode['kind']> = Extract<GrammarNode, { kind: Kind }>;

/** Keys of the name and of the arguments that the reader accepts beside those of the format. */
const NAME = 'name';
const ARGUMENTS = ['arguments', 'parameters'];
/** A key of an object that may hold the name and the arguments. */
const FUNCTION = 'function';
/** The beginning of an output that the reader may take for a call. */
const BRACKET = '^[ \\t\\r\\n]*(?:```(?:json)?[ \\t\\r\\n]*)?[{[]';

/** True for a format without markers. */
export const isBare = ({ sectionOpen, callOpen }: CallFormat): boolean => sectionOpen === '' && callOpen === '';

/**
 * The answer without the texts that the reader takes for a call of an offered tool.
 *
 * - An object that may have arguments: no member `name` is the name of a tool.
 * - Members that the form does not list are not called `name`, `function`, or as the list of calls.
 * - A text that is no JSON and begins with a bracket: no name of a tool is in it.
 */
export function withoutCalls(writer: Writer, { calls, tools }: CallsSource, root: NodeId): NodeId {
  const names = tools.map(({ name }) => name);
  return new NoCall(writer, calls, names).root(root);
}

class NoCall {
  readonly #writer: Writer;
  readonly #names: readonly string[];
  /** Undefined for a format whose calls are no objects of JSON. */
  readonly #json: JsonCalls | undefined;
  readonly #nameKeys: readonly string[];
  readonly #argumentKeys: readonly string[];
  /** The items so far, by the nodes that they replace. */
  readonly #items = new Map<NodeId, NodeId>();
  /** Texts that the reader takes for the name of a tool. */
  #called: CharAutomaton | undefined;

  constructor(writer: Writer, calls: CallFormat, names: readonly string[]) {
    this.#writer = writer;
    this.#names = names;
    this.#json = calls.style === 'json' ? calls : undefined;
    this.#nameKeys = [...new Set([NAME, this.#json?.nameKey ?? NAME])];
    this.#argumentKeys = [this.#json?.argumentsKey ?? 'arguments', ...ARGUMENTS];
  }

  root(id: NodeId): NodeId {
    const node = this.#writer.builder.nodeAt(id);
    switch (node.kind) {
      case 'choice':
        return this.#writer.choice(...node.items.map((item) => this.root(item)));
      case 'chars':
        return this.#text(node.automaton);
      case 'object':
        return this.#json?.list === false ? this.#call(node, false) : id;
      case 'array':
        return this.#json?.list === true ? this.#list(node) : id;
      case 'literal':
        return this.#isCall(JSON.parse(node.text)) ? this.#nothing : id;
      default:
        return id;
    }
  }

  get #nothing(): NodeId {
    return this.#writer.choice();
  }

  /** A constant counts as a call if it holds the name of a tool at a place of a name. */
  #isCall(value: unknown): boolean {
    if (!this.#json || typeof value !== 'object' || value === null) return false;
    const { list, wrapper } = this.#json;
    if (Array.isArray(value)) return list && value.some((item) => this.#hasName(item));
    const wrapped = wrapper === undefined ? undefined : (value as Record<string, unknown>)[wrapper];
    return this.#hasName(value) || (Array.isArray(wrapped) && wrapped.some((item) => this.#hasName(item)));
  }

  #hasName(value: unknown): boolean {
    if (typeof value !== 'object' || value === null) return false;
    const members = value as Record<string, unknown>;
    const named = this.#nameKeys.some((key) => this.#names.includes(String(members[key])));
    return named || (Object.hasOwn(members, FUNCTION) && this.#hasName(members[FUNCTION]));
  }

  #list(node: Node<'array'>): NodeId {
    const item = (value: NodeId): NodeId => this.#item(value);
    const prefix = node.prefix.map((one) => ({ ...one, value: item(one.value) }));
    const rest = node.rest && { ...node.rest, value: item(node.rest.value) };
    return this.#writer.builder.add({ ...node, prefix, ...(rest && { rest }) });
  }

  /** An item of a list that may be a list of calls, or the value of `function`. Items can be recursive. */
  #item(id: NodeId): NodeId {
    const known = this.#items.get(id);
    if (known !== undefined) return known;
    const { builder } = this.#writer;
    const item = builder.reserve();
    this.#items.set(id, item);
    builder.define(item, builder.nodeAt(this.#newItem(id)));
    return item;
  }

  #newItem(id: NodeId): NodeId {
    const node = this.#writer.builder.nodeAt(id);
    if (node.kind === 'choice') return this.#writer.choice(...node.items.map((item) => this.#item(item)));
    if (node.kind === 'object') return this.#call(node, true);
    return node.kind === 'literal' && this.#hasName(JSON.parse(node.text)) ? this.#nothing : id;
  }

  /** @param alone a name without arguments is a call */
  #call(node: Node<'object'>, alone: boolean): NodeId {
    const { builder } = this.#writer;
    const wrapper = alone ? undefined : this.#json?.wrapper;
    const mayCall = alone || this.#mayHave(node, [...this.#argumentKeys, FUNCTION]);
    if (!mayCall && (wrapper === undefined || !this.#mayHave(node, [wrapper]))) return builder.add(node);
    const members = node.members.map((member) => {
      const { name, value } = member;
      if (mayCall && this.#nameKeys.includes(name)) return { ...member, value: this.#name(value) };
      if (mayCall && name === FUNCTION) return { ...member, value: this.#item(value) };
      return name === wrapper ? { ...member, value: this.#wrapped(value) } : member;
    });
    const reserved = [...(mayCall ? [...this.#nameKeys, FUNCTION] : []), ...(wrapper === undefined ? [] : [wrapper])];
    const listed = node.members.map(({ name }) => name);
    const others = node.others.flatMap((group) => this.#group(group, listed, reserved));
    return builder.add({ ...node, members, others });
  }

  #mayHave({ members, others }: Node<'object'>, keys: readonly string[]): boolean {
    return others.length > 0 || members.some(({ name }) => keys.includes(name));
  }

  #group({ names, value }: MemberGroup, listed: readonly string[], reserved: readonly string[]): MemberGroup[] {
    const { budget } = this.#writer.builder;
    const words = names ? reserved : [...listed, ...reserved];
    const rest = subtract(names ?? anyText(), wordsAutomaton(words, budget), budget);
    return rest ? [{ names: rest, value }] : [];
  }

  /** The list of calls in an object. */
  #wrapped(id: NodeId): NodeId {
    const node = this.#writer.builder.nodeAt(id);
    if (node.kind === 'choice') return this.#writer.choice(...node.items.map((item) => this.#wrapped(item)));
    if (node.kind === 'array') return this.#list(node);
    const value: unknown = node.kind === 'literal' ? JSON.parse(node.text) : undefined;
    return Array.isArray(value) && value.some((item) => this.#hasName(item)) ? this.#nothing : id;
  }

  /** The value of a name without the names of tools. */
  #name(id: NodeId): NodeId {
    const { builder } = this.#writer;
    const node = builder.nodeAt(id);
    if (node.kind === 'choice') return this.#writer.choice(...node.items.map((item) => this.#name(item)));
    const isText = node.kind === 'string' || node.kind === 'text' || node.kind === 'literal';
    const chars = isText ? charsOf(node, builder.budget) : undefined;
    if (!chars) return id;
    const automaton = subtract(chars, this.#calledNames(), builder.budget);
    return automaton ? builder.add({ kind: 'string', automaton }) : this.#nothing;
  }

  /** As `Parts.toolOf` finds them. */
  #calledNames(): CharAutomaton {
    const { budget } = this.#writer.builder;
    const names = this.#names.map((name) => name.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|');
    this.#called ??= patternAutomaton(`\\s*(?:functions\\.)?(?:${names})(?::[0-9]+)?\\s*`, 'whole', budget);
    if (!this.#called) throw new Error('a tool has no name');
    return this.#called;
  }

  /** A text that is no JSON: a choice, or a text of an expression. */
  #text(chars: CharAutomaton): NodeId {
    const { budget } = this.#writer.builder;
    const bracket = patternAutomaton(BRACKET, 'search', budget);
    if (!bracket || !intersect(chars, bracket, budget)) return this.#writer.chars(chars);
    const free = subtract(anyText(), bracket, budget);
    // An escape could spell a name in another way.
    const nameless = textWithout([...this.#names, '\\u'], budget);
    const rest = intersect(chars, free ? unite([free, nameless], budget) : nameless, budget);
    return rest ? this.#writer.chars(rest) : this.#nothing;
  }
}
