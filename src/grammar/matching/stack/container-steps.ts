/** Steps inside of arrays and objects, between their values. Pure. */

import type { GrammarNode, NodeId } from '../../program.ts';
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
import { type NamePlaces, NO_PLACE } from '../names/name-places.ts';
import { ABSENT } from '../names/name-trie.ts';
import type { ObjectFacts, Seen } from '../names/object-facts.ts';
import { type Facts, itemAt } from './facts.ts';
import { AFTER, COLON, FIRST, ITEM, LISTED, OPEN, OTHER, QUOTE, SPACE, VALUE, VALUE_SPACE } from './phases.ts';
import type { StepPlace } from './step-place.ts';

type ArrayNode = Extract<GrammarNode, { kind: 'array' }>;

export class ArraySteps {
  readonly #facts: Facts;

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  step(place: StepPlace, node: ArrayNode, byte: number): void {
    const { phase, a, b } = place;
    switch (phase) {
      case OPEN:
        if (byte !== OPEN_BRACKET) return;
        if (node.min === 0 && node.minMatches === 0) place.stay(FIRST, 0, 0);
        this.#items(place, node);
        return;
      case FIRST:
        if (byte === CLOSE_BRACKET) place.end();
        return;
      case AFTER:
        if (byte === CLOSE_BRACKET && a >= node.min && b >= node.minMatches) place.end();
        if (byte !== COMMA || !this.#hasItem(node, a, b)) return;
        place.stay(SPACE, a, b);
        this.#items(place, node);
        return;
      default:
        if (byte === SPACE_BYTE) this.#items(place, node);
    }
  }

  /** The values of the next item. */
  #items(place: StepPlace, node: ArrayNode): void {
    const { a, b } = place;
    const item = itemAt(node, a);
    if (!item) return;
    if (this.#canHave(node, item.value, a, b)) place.above(item.value, ITEM, a, b);
    if (item.match !== undefined && b < node.minMatches && this.#canHave(node, item.match, a, b + 1))
      place.above(item.match, ITEM, a, b + 1);
  }

  #hasItem(node: ArrayNode, count: number, matches: number): boolean {
    const item = itemAt(node, count);
    if (!item) return false;
    if (this.#canHave(node, item.value, count, matches)) return true;
    return item.match !== undefined && this.#canHave(node, item.match, count, matches + 1);
  }

  /** True if the array can end after an item with this value. */
  #canHave(node: ArrayNode, value: NodeId, count: number, matches: number): boolean {
    return this.#facts.exists(value) && Number.isFinite(this.#facts.arrayRest(node, count + 1, matches));
  }
}

export class ObjectSteps {
  readonly #names: NamePlaces;

  constructor(names: NamePlaces) {
    this.#names = names;
  }

  step(place: StepPlace, facts: ObjectFacts, byte: number): void {
    const { phase, a, b } = place;
    const seen = facts.seenAt(a);
    switch (phase) {
      case OPEN:
        if (byte !== OPEN_BRACE) return;
        if (seen.closable) place.stay(FIRST, a, 0);
        if (seen.addable) place.stay(QUOTE, a, 0);
        return;
      case FIRST:
        if (byte === CLOSE_BRACE) place.end();
        return;
      case AFTER:
        if (byte === CLOSE_BRACE && seen.closable) place.end();
        if (byte !== COMMA || !seen.addable) return;
        place.stay(SPACE, a, 0);
        place.stay(QUOTE, a, 0);
        return;
      case SPACE:
        if (byte === SPACE_BYTE) place.stay(QUOTE, a, 0);
        return;
      case COLON:
        if (byte !== COLON_BYTE) return;
        place.stay(VALUE_SPACE, a, b);
        value(place, facts);
        return;
      case VALUE_SPACE:
        if (byte === SPACE_BYTE) value(place, facts);
        return;
      default:
        this.#name(place, facts, seen, byte);
    }
  }

  #name(place: StepPlace, facts: ObjectFacts, seen: Seen, byte: number): void {
    const { phase, a, b } = place;
    if (phase === QUOTE) {
      if (byte === QUOTE_BYTE) this.#begin(place, facts, seen);
      return;
    }
    if (phase === LISTED) {
      const child = facts.names.child(b, byte);
      if (child === ABSENT || !facts.isOpen(seen, child)) return;
      const member = facts.names.nameAt(child);
      if (member === ABSENT) place.stay(LISTED, a, child);
      else place.stay(COLON, facts.with(seen, member).id, member);
      return;
    }
    const names = this.#names;
    const { partial, group } = names.placeAt(b);
    if (byte === QUOTE_BYTE && partial === 0) {
      if (names.canEnd(facts, b)) place.stay(COLON, facts.withOther(seen).id, -1 - group);
      return;
    }
    const next = names.next(facts, b, byte);
    if (next !== NO_PLACE) place.stay(OTHER, a, next);
  }

  /** Behind the quote of a name. */
  #begin(place: StepPlace, facts: ObjectFacts, seen: Seen): void {
    if (facts.isOpen(seen, 0)) place.stay(LISTED, seen.id, 0);
    if (!seen.groups) return;
    for (const group of facts.groups) place.stay(OTHER, seen.id, this.#names.start(group));
  }
}

/** The value of a member. */
function value(place: StepPlace, { node }: ObjectFacts): void {
  const { a, b } = place;
  const id = b >= 0 ? node.members[b]?.value : node.others[-1 - b]?.value;
  if (id !== undefined) place.above(id, VALUE, a, 0);
}
