/** Steps inside of texts: literals, characters and strings. Pure. */

import type { GrammarNode } from '../../program.ts';
import { COMPLETE, NO_CHAR, readByte, targetOf } from '../bytes/char-bytes.ts';
import { QUOTE_BYTE } from '../bytes/json-bytes.ts';
import { ANY_SPELLING, BETWEEN, REFUSED } from '../bytes/text-bytes.ts';
import { INSIDE, OPEN } from './phases.ts';
import type { StepPlace } from './step-place.ts';

type NodeOf<K extends GrammarNode['kind']> = Extract<GrammarNode, { kind: K }>;

export function stepLiteral(place: StepPlace, bytes: Uint8Array, byte: number): void {
  if (bytes[place.a] !== byte) return;
  if (place.a + 1 === bytes.length) place.end();
  else place.stay(OPEN, place.a + 1, 0);
}

export function stepChars(place: StepPlace, { automaton }: NodeOf<'chars'>, byte: number): void {
  const edges = automaton.edges[place.a] ?? [];
  const read = readByte(place.b, byte, edges, 'raw');
  if (read === NO_CHAR) return;
  if (read < COMPLETE) {
    place.stay(OPEN, place.a, read);
    return;
  }
  const state = targetOf(read - COMPLETE, edges);
  const hasMore = (automaton.edges[state] ?? []).length > 0;
  if (hasMore) place.stay(OPEN, state, 0);
  if (automaton.accepts[state]) place.end();
}

export function stepString(place: StepPlace, { automaton }: NodeOf<'string'>, byte: number): void {
  const { phase, a, b } = place;
  if (phase === OPEN) {
    if (byte === QUOTE_BYTE) place.stay(INSIDE, 0, 0);
    return;
  }
  if (byte === QUOTE_BYTE && b === 0) {
    if (automaton.accepts[a]) place.end();
    return;
  }
  const edges = automaton.edges[a] ?? [];
  const read = readByte(b, byte, edges, 'json');
  if (read === NO_CHAR) return;
  if (read < COMPLETE) place.stay(INSIDE, a, read);
  else place.stay(INSIDE, targetOf(read - COMPLETE, edges), 0);
}

export function stepText(place: StepPlace, { min, max }: NodeOf<'text'>, byte: number): void {
  const { phase, a, b } = place;
  if (phase === OPEN) {
    if (byte === QUOTE_BYTE) place.stay(INSIDE, 0, 0);
    return;
  }
  if (byte === QUOTE_BYTE && b === BETWEEN) {
    if (a >= min) place.end();
    return;
  }
  if (b === BETWEEN && max !== undefined && a >= max) return;
  const next = ANY_SPELLING[b * 256 + byte] ?? REFUSED;
  if (next === REFUSED) return;
  const chars = next !== BETWEEN ? a : max === undefined ? Math.min(a + 1, min) : a + 1;
  place.stay(INSIDE, chars, next);
}
