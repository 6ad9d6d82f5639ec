/** The time to find the longest stored prefix of a prompt in the radix tree of the KV cache. */
import { PrefixTree } from '../dist/engine/cache/prefix-tree.js';
import { Random } from '../dist/engine/sampling/random.js';
import { goal, rounds, section, spread, table } from './measure.mjs';

const STORED = 1000;
const LENGTH = 4000;
const VOCABULARY = 49_152;
/** Ids that all prompts may have in common; each has a part of them. */
const COMMON = 1000;
const ROUNDS = 11;

export function prefixLookup() {
  const random = Random.seeded(STORED);
  const ids = (length) => Array.from({ length }, () => random.next() % VOCABULARY);
  const common = ids(COMMON);
  const prompts = Array.from({ length: STORED }, (_, row) =>
    [...common.slice(0, (7 * row) % COMMON), ...ids(LENGTH)].slice(0, LENGTH),
  );
  const tree = new PrefixTree();
  for (const [row, prompt] of prompts.entries()) tree.append(row, prompt);
  const micros = Array.from({ length: rounds(ROUNDS) }, () => perLookup(tree, prompts));
  return section(
    'Stored prefixes',
    [
      `A radix tree with ${STORED} prefixes of ${LENGTH} ids, which share their first 0 to ${COMMON} ids. The longest prefix of each of them is looked up in turn.`,
      table(['µs for each lookup'], [[spread(micros)]]),
    ],
    [goal(`lookup in ${STORED} stored prefixes of ${LENGTH} ids`, { most: 50, unit: 'µs', digits: 1 }, micros)],
  );
}

function perLookup(tree, prompts) {
  const began = performance.now();
  for (const [row, prompt] of prompts.entries()) {
    const [match] = tree.matches(prompt);
    if (match.row !== row || match.length !== LENGTH) throw new Error(`Row ${row} was not found`);
  }
  return ((performance.now() - began) * 1000) / prompts.length;
}
