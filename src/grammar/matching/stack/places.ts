/** The way from a place to the end of its node. Pure. */

import type { GrammarNode } from '../../program.ts';
import type { Spelling } from '../../spelling.ts';
import { shortestWay, type Way } from '../bytes/char-bytes.ts';
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON_BYTE,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE_BYTE,
  SPACE_BYTE,
} from '../bytes/json-bytes.ts';
import { ANY_SPELLING, shortestWays } from '../bytes/text-bytes.ts';
import type { NamePlaces } from '../names/name-places.ts';
import type { ObjectFacts, Seen } from '../names/object-facts.ts';
import type { Facts } from './facts.ts';
import type { Place } from './frames.ts';
import { AFTER, COLON, FIRST, ITEM, LISTED, OPEN, OTHER, QUOTE, SPACE, VALUE } from './phases.ts';

const LETTER = 0x61;

const TEXT_WAYS = shortestWays(ANY_SPELLING);

/** A way of infinite length: no text leads from the place to the end. */
const NO_WAY: Way = { length: Number.POSITIVE_INFINITY, byte: 0 };

export class Places {
  readonly #facts: Facts;
  readonly #names: NamePlaces;

  constructor(facts: Facts, names: NamePlaces) {
    this.#facts = facts;
    this.#names = names;
  }

  /** The length of `wayFrom`. */
  lengthFrom(place: Place): number {
    const { node: id, phase, a, b } = place;
    const node = this.#facts.nodeAt(id);
    if (b !== 0) return this.wayFrom(place).length;
    if (node.kind === 'chars') return this.#facts.through(node.automaton, 'raw')[a] ?? Number.POSITIVE_INFINITY;
    if (node.kind !== 'string' || phase === OPEN) return this.wayFrom(place).length;
    return 1 + (this.#facts.inside(node.automaton, 'json')[a] ?? Number.POSITIVE_INFINITY);
  }

  /**
   * The shortest way from a place to the end of its node. For a frame below another one: from the end of that
   * one, and without a first byte.
   */
  wayFrom({ node: id, phase, a, b }: Place): Way {
    const facts = this.#facts;
    const node = facts.nodeAt(id);
    switch (node.kind) {
      case 'literal': {
        const bytes = facts.literal(id, node.text);
        return { length: bytes.length - a, byte: bytes[a] ?? 0 };
      }
      case 'token':
        return { length: 1, byte: 0 };
      case 'chars':
        return this.#charWay(node, a, b, 'raw');
      case 'string': {
        if (phase === OPEN) return { length: facts.lengthOf(id), byte: QUOTE_BYTE };
        if (b === 0 && node.automaton.accepts[a]) return { length: 1, byte: QUOTE_BYTE };
        const { length, byte } = this.#charWay(node, a, b, 'json');
        return { length: length + 1, byte };
      }
      case 'text':
        return textWay(node.min, { node: id, phase, a, b });
      case 'sequence':
        return { length: facts.suffix(id, node.items, a + 1), byte: 0 };
      case 'repeat':
        return { length: Math.max(0, node.min - a - 1) * facts.lengthOf(node.item), byte: 0 };
      case 'array':
        return this.#arrayWay(node, { node: id, phase, a, b });
      case 'object':
        return this.#objectWay(facts.object(id, node), { node: id, phase, a, b });
      case 'choice':
      case 'nothing':
        return NO_WAY;
    }
  }

  #charWay({ automaton }: { automaton: GrammarAutomaton }, state: number, partial: number, spelling: Spelling): Way {
    const lengths = this.#facts.inside(automaton, spelling);
    return shortestWay(partial, automaton.edges[state] ?? [], lengths, spelling) ?? NO_WAY;
  }

  #arrayWay(node: Extract<GrammarNode, { kind: 'array' }>, { node: id, phase, a, b }: Place): Way {
    const facts = this.#facts;
    switch (phase) {
      case OPEN:
        return { length: facts.lengthOf(id), byte: OPEN_BRACKET };
      case FIRST:
        return { length: 1, byte: CLOSE_BRACKET };
      case ITEM:
        return { length: facts.arrayRest(node, a + 1, b), byte: 0 };
      case AFTER: {
        const length = facts.arrayRest(node, a, b);
        return { length, byte: length === 1 ? CLOSE_BRACKET : COMMA };
      }
      default:
        // The comma is written; the space is one more byte.
        return { length: facts.arrayRest(node, a, b, 1), byte: SPACE_BYTE };
    }
  }

  #objectWay(facts: ObjectFacts, { phase, a, b }: Place): Way {
    const seen = facts.seenAt(a);
    switch (phase) {
      case OPEN:
        return { length: 1 + firstLength(facts, seen), byte: OPEN_BRACE };
      case FIRST:
        return { length: 1, byte: CLOSE_BRACE };
      case AFTER:
        return { length: seen.rest + 1, byte: seen.closable ? CLOSE_BRACE : COMMA };
      case SPACE:
        return { length: 1 + memberRest(facts, seen), byte: SPACE_BYTE };
      case QUOTE:
        return { length: memberRest(facts, seen), byte: QUOTE_BYTE };
      case LISTED: {
        const member = facts.target(seen, b);
        const value = this.#facts.lengthOf(facts.node.members[member]?.value ?? 0);
        const length = facts.names.lengthTo(b, member) + 1 + value + facts.with(seen, member).rest + 1;
        return { length, byte: facts.names.byteTo(b, member) };
      }
      case OTHER: {
        const { group, length, byte } = this.#names.wayFrom(facts, b);
        const value = this.#facts.lengthOf(facts.node.others[group]?.value ?? 0);
        return { length: length + 1 + value + facts.withOther(seen).rest + 1, byte };
      }
      default: {
        const value = b >= 0 ? facts.node.members[b]?.value : facts.node.others[-1 - b]?.value;
        const rest = seen.rest + 1;
        if (phase === VALUE) return { length: rest, byte: 0 };
        const space = 1 + this.#facts.lengthOf(value ?? 0) + rest;
        return { length: space, byte: phase === COLON ? COLON_BYTE : SPACE_BYTE };
      }
    }
  }
}

type GrammarAutomaton = Extract<GrammarNode, { kind: 'chars' }>['automaton'];

function textWay(min: number, { phase, a: chars, b: state }: Place): Way {
  if (phase === OPEN) return { length: min + 2, byte: QUOTE_BYTE };
  const more = Math.max(0, min - chars - (state === 0 ? 0 : 1));
  const length = (TEXT_WAYS.lengths[state] ?? 0) + more + 1;
  if (state !== 0) return { length, byte: TEXT_WAYS.bytes[state] ?? 0 };
  return { length, byte: more === 0 ? QUOTE_BYTE : LETTER };
}

/** Bytes behind the opening brace. */
const firstLength = (facts: ObjectFacts, seen: Seen): number => (seen.closable ? 1 : memberRest(facts, seen));

/** Bytes from the quote of the next name to the end: that of a member that must follow, if there is one. */
function memberRest(facts: ObjectFacts, seen: Seen): number {
  if (seen.rest > 0) return seen.rest;
  const member = facts.target(seen, 0);
  const listed = member < 0 ? Number.POSITIVE_INFINITY : facts.lengthOf(member) + facts.with(seen, member).rest;
  const group = Math.min(Number.POSITIVE_INFINITY, ...facts.groups.map((one) => facts.groupLength(one)));
  const other = seen.groups ? group + facts.withOther(seen).rest : Number.POSITIVE_INFINITY;
  return Math.min(listed, other) + 1;
}
