/** Arrays of a schema. Pure. */
import { GrammarError } from '../grammar-error.ts';
import type { GrammarNode, Item } from '../program.ts';
import { isEmpty, placesAt } from './admits.ts';
import { type ArrayFacts, type Contained, checkLeast, merge } from './facts.ts';
import type { Nodes } from './objects.ts';
import type { Place } from './places.ts';

/** First items that are compared to prove that they differ. */
const MAX_COMPARED = 16;

/** First items of an array with a `contains`: each number of them that match is another place. */
export const MAX_FIRST_ITEMS = 64;

/** The node of an array, or undefined if there is none. */
export function arrayNode(nodes: Nodes, facts: ArrayFacts): GrammarNode | undefined {
  const contained = containedIn(facts);
  const item = (places: readonly Place[]): Item | undefined => {
    nodes.budget.step();
    const value = nodes.node(places);
    if (value === undefined) return undefined;
    const match = contained && nodes.node([...places, contained.place]);
    return { value, ...(match !== undefined && { match }) };
  };
  const length = Math.max(0, ...facts.layers.map(({ prefix }) => prefix.length));
  if (contained && contained.min > 0 && length > MAX_FIRST_ITEMS) {
    const text = `has more than ${MAX_FIRST_ITEMS} first items next to contains; use fewer`;
    throw new GrammarError('too_complex', facts.path, text);
  }
  const prefix: Item[] = [];
  while (prefix.length < Math.min(length, facts.max)) {
    const next = item(placesAt(facts, prefix.length));
    if (!next) break;
    prefix.push(next);
  }
  const isOpen = prefix.length === length && facts.max > length;
  const rest = isOpen ? item(placesAt(facts, length)) : undefined;
  const max = rest ? facts.max : prefix.length;
  const minMatches = contained?.min ?? 0;
  if (max > 1 && facts.unique) provesUnique(nodes, facts, rest ? undefined : prefix.length);
  const least = Math.max(facts.min, minMatches);
  if (least > max) return undefined;
  checkLeast(least, facts.path);
  const most = rest?.match === undefined ? prefix.filter(({ match }) => match !== undefined).length : max;
  if (minMatches > most) return undefined;
  return {
    kind: 'array',
    prefix,
    ...(rest && { rest }),
    min: facts.min,
    ...(rest && max !== Number.POSITIVE_INFINITY && { max }),
    minMatches,
  };
}

/**
 * The one `contains` that matters.
 * @throws GrammarError `unsupported` for several, and for a maximum that can be exceeded
 */
function containedIn(facts: ArrayFacts): Contained | undefined {
  const relevant = facts.contains.filter(({ min, max }) => min > 0 || max < facts.max);
  for (const [index, { max, path }] of relevant.entries()) {
    if (max < facts.max) throw new GrammarError('unsupported', path, 'is not supported; use maxItems, or leave it out');
    if (index > 0) throw new GrammarError('unsupported', path, 'is not supported twice for one array; use one');
  }
  return relevant[0];
}

/**
 * Proves that all items differ.
 * @param count number of items, if they are first items only
 * @throws GrammarError `unsupported`
 */
function provesUnique(nodes: Nodes, facts: ArrayFacts, count: number | undefined): void {
  const refusal = new GrammarError(
    'unsupported',
    facts.unique ?? [],
    'is not supported for arrays of several items; leave it out, or use an object with a member for each item',
  );
  if (count === undefined || count > MAX_COMPARED) throw refusal;
  for (let a = 0; a < count; a += 1)
    for (let b = 0; b < a; b += 1)
      for (const x of nodes.all(placesAt(facts, a)))
        for (const y of nodes.all(placesAt(facts, b))) {
          const both = merge(x, y);
          if (both && !nodes.scalars.prove(() => isEmpty(nodes, both))) throw refusal;
        }
}
