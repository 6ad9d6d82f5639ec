/**
 * One step of the pushdown automaton: the frames that follow a frame when a byte is read. The result has only
 * frames that read a byte or a token next. Pure.
 */
import type { GrammarNode, Item, NodeId } from '../../program.ts';
import { COMPLETE, NO_CHAR, readByte, targetOf } from '../bytes/char-bytes.ts';
import { ANY_SPELLING, BETWEEN, REFUSED } from '../bytes/text-bytes.ts';
import { type NamePlaces, NO_PLACE } from '../names/name-places.ts';
import { ABSENT } from '../names/name-trie.ts';
import type { ObjectFacts, Seen } from '../names/object-facts.ts';
import { arrayRest, type Facts, itemAt } from './facts.ts';
import { type Frames, NO_FRAME, type Place } from './frames.ts';
import { AFTER, COLON, FIRST, INSIDE, ITEM, LISTED, OPEN, OTHER, QUOTE, SPACE, VALUE, VALUE_SPACE } from './places.ts';

type NodeOf<K extends GrammarNode['kind']> = Extract<GrammarNode, { kind: K }>;
/** A frame that is stepped: its parts, and the frame below it. */
type Current = Place & { readonly parent: number };

const QUOTE_BYTE = 0x22;
const SPACE_BYTE = 0x20;
const COMMA = 0x2c;
const COLON_BYTE = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Multiplies a node in a key of a node and a frame. */
const NODES = 2 ** 20;

export class Steps {
  readonly #facts: Facts;
  readonly #frames: Frames;
  readonly #names: NamePlaces;
  /** The frames that follow. */
  #out: number[] = [];
  /** The text can end here. */
  #accepts = false;
  /** Choices and repetitions that were entered in this step, with their frames: recursion without a byte ends. */
  readonly #entered = new Set<number>();

  constructor(facts: Facts, frames: Frames, names: NamePlaces) {
    this.#facts = facts;
    this.#frames = frames;
    this.#names = names;
  }

  /** The frames at the beginning of a text. */
  begin(root: NodeId): { readonly frames: number[]; readonly accepts: boolean } {
    this.#reset();
    this.#enter(root, NO_FRAME);
    return { frames: this.#out, accepts: this.#accepts };
  }

  /** The frames after a byte. */
  read(frames: readonly number[], byte: number): { readonly frames: number[]; readonly accepts: boolean } {
    this.#reset();
    for (const frame of frames) this.#step(frame, byte);
    return { frames: this.#out, accepts: this.#accepts };
  }

  /** The frames after a special token. */
  readToken(frames: readonly number[], id: number): { readonly frames: number[]; readonly accepts: boolean } {
    this.#reset();
    for (const frame of frames) {
      const node = this.#facts.nodeAt(this.#frames.nodes[frame] ?? 0);
      if (node.kind === 'token' && node.id === id) this.#complete(this.#frames.parents[frame] ?? NO_FRAME);
    }
    return { frames: this.#out, accepts: this.#accepts };
  }

  #reset(): void {
    this.#out = [];
    this.#accepts = false;
    this.#entered.clear();
  }

  #push(place: Place, parent: number): void {
    this.#out.push(this.#frames.at(place, parent));
  }

  /** Begins a node above a frame. */
  #enter(id: NodeId, parent: number): void {
    const facts = this.#facts;
    if (!facts.exists(id)) return;
    const node = facts.nodeAt(id);
    switch (node.kind) {
      case 'literal':
        if (facts.literal(id, node.text).length === 0) this.#complete(parent);
        else this.#push(start(id), parent);
        return;
      case 'chars':
        this.#pushChars(node, { ...start(id), parent });
        return;
      case 'sequence':
        this.#sequence(id, node.items, 0, parent);
        return;
      case 'choice':
        if (this.#isEntered(id, parent)) return;
        for (const item of node.items) this.#enter(item, parent);
        return;
      case 'repeat':
        if (this.#isEntered(id, parent)) return;
        this.#repeat(node, { ...start(id), parent });
        return;
      case 'token':
      case 'string':
      case 'text':
      case 'array':
      case 'object':
        this.#push(start(id), parent);
        return;
      case 'nothing':
        return;
    }
  }

  #isEntered(id: NodeId, parent: number): boolean {
    const key = (parent + 1) * NODES + id;
    if (this.#entered.has(key)) return true;
    this.#entered.add(key);
    return false;
  }

  /** Continues a frame whose node above has ended. */
  #complete(frame: number): void {
    if (frame === NO_FRAME) {
      this.#accepts = true;
      return;
    }
    const frames = this.#frames;
    const { node: id, phase, a, b } = frames.placeOf(frame);
    const parent = frames.parents[frame] ?? NO_FRAME;
    const node = this.#facts.nodeAt(id);
    switch (node.kind) {
      case 'sequence':
        this.#sequence(id, node.items, a + 1, parent);
        return;
      case 'repeat':
        this.#repeat(node, { node: id, phase, a: a + 1, b, parent });
        return;
      case 'array': {
        const { prefix, rest, min, max } = node;
        const counted = rest && max === undefined ? Math.min(a + 1, Math.max(prefix.length, min)) : a + 1;
        this.#push({ node: id, phase: AFTER, a: counted, b }, parent);
        return;
      }
      default:
        this.#push({ node: id, phase: AFTER, a, b: 0 }, parent);
    }
  }

  /** The last item of a sequence needs no frame of the sequence. */
  #sequence(id: NodeId, items: readonly NodeId[], index: number, parent: number): void {
    const item = items[index];
    if (item === undefined) this.#complete(parent);
    else if (index === items.length - 1) this.#enter(item, parent);
    else this.#enter(item, this.#frames.at({ ...start(id), a: index }, parent));
  }

  /** After `a` items. */
  #repeat({ item, min, max }: NodeOf<'repeat'>, { node: id, a, parent }: Current): void {
    const counted = max === undefined ? Math.min(a, min) : a;
    if (a >= min) this.#complete(parent);
    if (max === undefined || a < max) this.#enter(item, this.#frames.at({ ...start(id), a: counted }, parent));
  }

  #step(frame: number, byte: number): void {
    const current = { ...this.#frames.placeOf(frame), parent: this.#frames.parents[frame] ?? NO_FRAME };
    const node = this.#facts.nodeAt(current.node);
    switch (node.kind) {
      case 'literal': {
        const bytes = this.#facts.literal(current.node, node.text);
        if (bytes[current.a] !== byte) return;
        if (current.a + 1 === bytes.length) this.#complete(current.parent);
        else this.#push({ ...current, a: current.a + 1 }, current.parent);
        return;
      }
      case 'chars':
        this.#stepChars(node, current, byte);
        return;
      case 'string':
        this.#stepString(node, current, byte);
        return;
      case 'text':
        this.#stepText(node, current, byte);
        return;
      case 'array':
        this.#stepArray(node, current, byte);
        return;
      case 'object':
        this.#stepObject(this.#facts.object(current.node, node), current, byte);
        return;
      default:
        return;
    }
  }

  #stepChars(node: NodeOf<'chars'>, current: Current, byte: number): void {
    const edges = node.automaton.edges[current.a] ?? [];
    const read = readByte(current.b, byte, edges, 'raw');
    if (read === NO_CHAR) return;
    if (read < COMPLETE) this.#push({ ...current, b: read }, current.parent);
    else this.#pushChars(node, { ...current, a: targetOf(read - COMPLETE, edges), b: 0 });
  }

  #pushChars({ automaton }: NodeOf<'chars'>, current: Current): void {
    if (automaton.accepts[current.a]) this.#complete(current.parent);
    if ((automaton.edges[current.a] ?? []).length > 0) this.#push(current, current.parent);
  }

  #stepString({ automaton }: NodeOf<'string'>, current: Current, byte: number): void {
    const { phase, a, b, parent } = current;
    if (phase === OPEN) {
      if (byte === QUOTE_BYTE) this.#push({ ...current, phase: INSIDE }, parent);
      return;
    }
    if (byte === QUOTE_BYTE && b === 0) {
      if (automaton.accepts[a]) this.#complete(parent);
      return;
    }
    const edges = automaton.edges[a] ?? [];
    const read = readByte(b, byte, edges, 'json');
    if (read === NO_CHAR) return;
    if (read < COMPLETE) this.#push({ ...current, b: read }, parent);
    else this.#push({ ...current, a: targetOf(read - COMPLETE, edges), b: 0 }, parent);
  }

  #stepText({ min, max = Number.POSITIVE_INFINITY }: NodeOf<'text'>, current: Current, byte: number): void {
    const { phase, a, b, parent } = current;
    if (phase === OPEN) {
      if (byte === QUOTE_BYTE) this.#push({ ...current, phase: INSIDE }, parent);
      return;
    }
    if (byte === QUOTE_BYTE && b === BETWEEN) {
      if (a >= min) this.#complete(parent);
      return;
    }
    if (b === BETWEEN && a >= max) return;
    const next = ANY_SPELLING[b * 256 + byte] ?? REFUSED;
    if (next === REFUSED) return;
    const counted = next !== BETWEEN ? a : max === Number.POSITIVE_INFINITY ? Math.min(a + 1, min) : a + 1;
    this.#push({ ...current, a: counted, b: next }, parent);
  }

  #stepArray(node: NodeOf<'array'>, current: Current, byte: number): void {
    const { phase, a, b, parent } = current;
    switch (phase) {
      case OPEN:
        if (byte !== OPEN_BRACKET) return;
        if (node.min === 0 && node.minMatches === 0) this.#push({ ...current, phase: FIRST }, parent);
        this.#items(node, current);
        return;
      case FIRST:
        if (byte === CLOSE_BRACKET) this.#complete(parent);
        return;
      case AFTER:
        if (byte === CLOSE_BRACKET && a >= node.min && b >= node.minMatches) this.#complete(parent);
        if (byte !== COMMA || !this.#hasItem(node, a, b)) return;
        this.#push({ ...current, phase: SPACE }, parent);
        this.#items(node, current);
        return;
      default:
        if (byte === SPACE_BYTE) this.#items(node, current);
    }
  }

  /** The values of the next item. */
  #items(node: NodeOf<'array'>, { node: id, a, b, parent }: Current): void {
    const item = itemAt(node, a);
    if (!item) return;
    if (this.#canHave(node, item.value, a, b))
      this.#enter(item.value, this.#frames.at({ node: id, phase: ITEM, a, b }, parent));
    if (item.match !== undefined && b < node.minMatches && this.#canHave(node, item.match, a, b + 1))
      this.#enter(item.match, this.#frames.at({ node: id, phase: ITEM, a, b: b + 1 }, parent));
  }

  #hasItem(node: NodeOf<'array'>, count: number, matches: number): boolean {
    const item: Item | undefined = itemAt(node, count);
    if (!item) return false;
    if (this.#canHave(node, item.value, count, matches)) return true;
    return item.match !== undefined && this.#canHave(node, item.match, count, matches + 1);
  }

  /** True if the array can end after an item with this value. */
  #canHave(node: NodeOf<'array'>, value: NodeId, count: number, matches: number): boolean {
    return this.#facts.exists(value) && Number.isFinite(arrayRest(node, count + 1, matches, this.#facts));
  }

  #stepObject(facts: ObjectFacts, current: Current, byte: number): void {
    const { phase, a, parent } = current;
    const seen = facts.seenAt(a);
    switch (phase) {
      case OPEN:
        if (byte !== OPEN_BRACE) return;
        if (seen.closable) this.#push({ ...current, phase: FIRST }, parent);
        if (seen.addable) this.#push({ ...current, phase: QUOTE }, parent);
        return;
      case FIRST:
        if (byte === CLOSE_BRACE) this.#complete(parent);
        return;
      case AFTER:
        if (byte === CLOSE_BRACE && seen.closable) this.#complete(parent);
        if (byte !== COMMA || !seen.addable) return;
        this.#push({ ...current, phase: SPACE, b: 0 }, parent);
        this.#push({ ...current, phase: QUOTE, b: 0 }, parent);
        return;
      case SPACE:
        if (byte === SPACE_BYTE) this.#push({ ...current, phase: QUOTE }, parent);
        return;
      case COLON:
        if (byte !== COLON_BYTE) return;
        this.#push({ ...current, phase: VALUE_SPACE }, parent);
        this.#value(facts, current);
        return;
      case VALUE_SPACE:
        if (byte === SPACE_BYTE) this.#value(facts, current);
        return;
      default:
        this.#stepName(facts, seen, current, byte);
    }
  }

  /** The value of a member. */
  #value({ node }: ObjectFacts, { node: id, a, b, parent }: Current): void {
    const value = b >= 0 ? node.members[b]?.value : node.others[-1 - b]?.value;
    if (value !== undefined) this.#enter(value, this.#frames.at({ node: id, phase: VALUE, a, b: 0 }, parent));
  }

  #stepName(facts: ObjectFacts, seen: Seen, current: Current, byte: number): void {
    const { phase, b, parent } = current;
    const names = this.#names;
    if (phase === QUOTE) {
      if (byte !== QUOTE_BYTE) return;
      if (facts.isOpen(seen, 0)) this.#push({ ...current, phase: LISTED, b: 0 }, parent);
      for (const group of seen.groups ? facts.groups : [])
        this.#push({ ...current, phase: OTHER, b: names.start(group) }, parent);
      return;
    }
    if (phase === LISTED) {
      const child = facts.names.child(b, byte);
      if (child === ABSENT || !facts.isOpen(seen, child)) return;
      const member = facts.names.nameAt(child);
      if (member === ABSENT) this.#push({ ...current, b: child }, parent);
      else this.#push({ ...current, phase: COLON, a: facts.with(seen, member).id, b: member }, parent);
      return;
    }
    if (byte === QUOTE_BYTE && names.placeAt(b).partial === 0) {
      const colon = { ...current, phase: COLON, a: facts.withOther(seen).id, b: -1 - names.placeAt(b).group };
      if (names.canEnd(facts, b)) this.#push(colon, parent);
      return;
    }
    const next = names.next(facts, b, byte);
    if (next !== NO_PLACE) this.#push({ ...current, b: next }, parent);
  }
}

const start = (node: NodeId): Place => ({ node, phase: OPEN, a: 0, b: 0 });
