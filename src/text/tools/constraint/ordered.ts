/**
 * Arguments of a call in a notation that is not JSON: the listed arguments in the order of the schema, each
 * at most once. Pure.
 */
import { GrammarError } from '../../../grammar/grammar-error.ts';
import type { GrammarNode, Member, NodeId } from '../../../grammar/program.ts';
import type { Json } from '../../template/conversation.ts';
import { isJsonObject } from '../json-object.ts';
import type { Writer } from './writer.ts';

type ObjectNode = Extract<GrammarNode, { kind: 'object' }>;

/** How a notation writes the arguments of a call. */
export interface ArgumentNotation {
  /** Between two arguments. */
  readonly separator: NodeId;
  /** An argument with its name; undefined if the notation cannot write this name or this value. */
  argument(name: string, value: NodeId): NodeId | undefined;
  /** Any argument of a group; undefined if the notation cannot write one. */
  other(group: ObjectNode['others'][number]): NodeId | undefined;
}

/** Choices of arguments that `dependentRequired` makes of one object. */
export const MAX_VARIANTS = 64;

/**
 * The arguments of a call.
 *
 * - Arguments that are not listed are written only if the schema lists none. Their names may repeat: the last
 *   value counts, as in JSON.parse.
 * @param root an object of JSON, or a choice of objects
 * @throws GrammarError `unsupported` if the notation cannot write an object that the schema accepts
 */
export function orderedArguments(writer: Writer, root: NodeId, notation: ArgumentNotation): NodeId {
  const objects = objectsOf(writer, root, new Set());
  const written = objects.flatMap((object) => new Ordered(writer, object, notation).node() ?? []);
  if (written.length === 0)
    throw new GrammarError('unsupported', [], 'requires an argument that the format of the model cannot write');
  return writer.choice(...written);
}

function objectsOf(writer: Writer, id: NodeId, seen: Set<NodeId>): ObjectNode[] {
  if (seen.has(id)) return [];
  seen.add(id);
  const node = writer.builder.nodeAt(id);
  if (node.kind === 'choice') return node.items.flatMap((item) => objectsOf(writer, item, seen));
  if (node.kind === 'object') return variantsOf(node);
  const value: unknown = node.kind === 'literal' ? JSON.parse(node.text) : undefined;
  if (!isJsonObject(value)) return [];
  const members = Object.entries(value).map(([name, inner]) => constantMember(writer, name, inner));
  return [{ kind: 'object', members, others: [], min: 0 }];
}

const constantMember = (writer: Writer, name: string, value: Json): Member => ({
  name,
  value: writer.builder.add({ kind: 'literal', text: JSON.stringify(value) }),
  required: true,
});

/** The same objects without `requires`: each member that requires others is absent, or they are required. */
function variantsOf(object: ObjectNode): ObjectNode[] {
  const open = [object];
  const closed: ObjectNode[] = [];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const { members } = node;
    const unmet = members.findIndex(({ requires = [] }) => requires.some((other) => members[other]?.required !== true));
    if (unmet < 0) {
      closed.push(node);
      continue;
    }
    if (open.length + closed.length >= MAX_VARIANTS)
      throw new GrammarError('too_complex', [], 'has too many arguments that require others');
    const needed = new Set([unmet, ...(members[unmet]?.requires ?? [])]);
    open.push({
      ...node,
      members: members.map((member, at) => ({ ...member, required: member.required || needed.has(at) })),
    });
    if (members[unmet]?.required !== true) {
      // The place stays, because others refer to it by their index; the name is not written.
      const absent = { name: members[unmet]?.name ?? '', value: NEVER, required: false };
      open.push({ ...node, members: members.with(unmet, absent) });
    }
  }
  return closed;
}

/** The value of a member that must be absent. */
const NEVER = -1;

class Ordered {
  readonly #writer: Writer;
  readonly #object: ObjectNode;
  readonly #notation: ArgumentNotation;
  /** Arguments that are counted: more make no difference. */
  readonly #most: number;

  constructor(writer: Writer, object: ObjectNode, notation: ArgumentNotation) {
    this.#writer = writer;
    this.#object = object;
    this.#notation = notation;
    this.#most = Math.max(1, object.min, object.max ?? 0);
  }

  /**
   * Undefined: none of these objects can be written. Goes from the last member to the first one: `after` has
   * the texts behind a member, by the number of arguments before it.
   */
  node(): NodeId | undefined {
    const { members } = this.#object;
    const counts = (index: number): number[] => Array.from({ length: Math.min(index, this.#most) + 1 }, (_, at) => at);
    let after = counts(members.length).map((count) => this.#rest(count));
    for (let index = members.length - 1; index >= 0; index -= 1) {
      const member = members[index];
      const next = after;
      if (member) after = counts(index).map((count) => this.#member(member, count, next));
    }
    return after[0];
  }

  #member(member: Member, count: number, next: readonly (NodeId | undefined)[]): NodeId | undefined {
    this.#writer.builder.budget.step();
    const absent = member.required ? undefined : next[count];
    const after = next[Math.min(count + 1, this.#most)];
    const mayHave = member.value !== NEVER && count < (this.#object.max ?? Number.POSITIVE_INFINITY);
    const argument = after !== undefined && mayHave ? this.#notation.argument(member.name, member.value) : undefined;
    if (argument === undefined || after === undefined) return absent;
    const present = this.#writer.sequence(...(count > 0 ? [this.#notation.separator] : []), argument, after);
    return absent === undefined ? present : this.#writer.choice(present, absent);
  }

  /** Behind the listed members. */
  #rest(count: number): NodeId | undefined {
    const { members, others, min, max } = this.#object;
    const writer = this.#writer;
    const complete = count >= min ? writer.sequence() : undefined;
    // Repeated names would count as one member.
    if (members.length > 0 || min > 1 || max !== undefined) return complete;
    const groups = others.flatMap((group) => this.#notation.other(group) ?? []);
    if (groups.length === 0) return complete;
    const one = writer.choice(...groups);
    const list = writer.sequence(one, writer.repeat(writer.sequence(this.#notation.separator, one)));
    return complete === undefined ? list : writer.choice(list, complete);
  }
}
