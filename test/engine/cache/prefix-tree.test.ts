import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Match, PrefixTree } from '../../../src/engine/cache/prefix-tree.ts';

/** A tree with these ids in row 0, 1, … */
function treeOf(...rows: number[][]): PrefixTree {
  const tree = new PrefixTree();
  for (const [row, ids] of rows.entries()) tree.append(row, ids);
  return tree;
}

const matches = (tree: PrefixTree, prompt: number[]): Match[] => [...tree.matches(prompt)];

describe('the rows that match a prompt', () => {
  it('come with their common prefix, the longest first', () => {
    const tree = treeOf([1, 2, 3, 4], [1, 2, 9], [5], [1, 2, 3, 7, 7]);
    expect(matches(tree, [1, 2, 3, 4, 5])).toEqual([
      { row: 0, length: 4 },
      { row: 3, length: 3 },
      { row: 1, length: 2 },
    ]);
    expect(matches(tree, [5, 5])).toEqual([{ row: 2, length: 1 }]);
    expect(matches(tree, [6])).toEqual([]);
    expect(matches(tree, [])).toEqual([]);
  });

  it('include rows that go on after the prompt, and rows that end before', () => {
    const tree = treeOf([1, 2, 3, 4, 5], [1, 2], [1, 2, 3, 4]);
    expect(matches(tree, [1, 2, 3])).toEqual([
      { row: 0, length: 3 },
      { row: 2, length: 3 },
      { row: 1, length: 2 },
    ]);
  });
});

describe('a row', () => {
  it('that grows by single ids does not add nodes', () => {
    const tree = new PrefixTree();
    for (let id = 0; id < 1000; id += 1) tree.append(0, [id]);
    expect(tree.size).toBe(2);
    expect(tree.length(0)).toBe(1000);
  });

  it('is covered if another one begins with all of its ids', () => {
    const tree = treeOf([1, 2, 3], [1, 2, 3, 4], [1, 2], [1, 9]);
    expect([0, 1, 2, 3, 4].map((row) => tree.isCovered(row))).toEqual([true, false, true, false, true]);
    const equal = treeOf([1, 2], [1, 2]);
    expect([equal.isCovered(0), equal.isCovered(1)]).toEqual([true, true]);
  });

  it('leaves no nodes behind', () => {
    const tree = treeOf([1, 2, 3], [1, 2, 4, 5], [1, 7]);
    for (const row of [1, 0, 2]) tree.truncate(row, 0);
    expect(tree.size).toBe(1);
    expect(tree.isEmpty).toBe(true);
  });
});

/** The same records without a tree. */
class Rows {
  readonly rows: number[][];

  constructor(count: number) {
    this.rows = Array.from({ length: count }, () => []);
  }

  common(row: number, prompt: number[]): number {
    const ids = this.rows[row] ?? [];
    const differs = ids.findIndex((id, index) => id !== prompt[index]);
    return differs < 0 ? ids.length : differs;
  }

  matches(prompt: number[]): Match[] {
    return this.rows.map((_, row) => ({ row, length: this.common(row, prompt) })).filter(({ length }) => length > 0);
  }

  covers(row: number): boolean {
    const ids = this.rows[row] ?? [];
    return (
      ids.length === 0 || this.rows.some((other, index) => index !== row && this.common(row, other) === ids.length)
    );
  }
}

const COUNT = 5;
const id = fc.integer({ min: 0, max: 2 });
const row = fc.integer({ min: 0, max: COUNT - 1 });
const ids = fc.array(id, { minLength: 1, maxLength: 6 });
const change = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), row, ids }),
  fc.record({ kind: fc.constant('truncate' as const), row, length: fc.integer({ min: 0, max: 8 }) }),
  fc.record({ kind: fc.constant('copy' as const), row, to: row, length: fc.integer({ min: 0, max: 8 }) }),
);

it('finds the matches of a search through all rows, after random changes', () => {
  const byLength = (list: Match[]): Match[] => list.sort((a, b) => b.length - a.length || a.row - b.row);
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 60 }),
      fc.array(ids, { minLength: 1, maxLength: 4 }),
      (changes, prompts) => {
        const tree = new PrefixTree();
        const plain = new Rows(COUNT);
        for (const one of changes) {
          const own = plain.rows[one.row] ?? [];
          if (one.kind === 'append') {
            tree.append(one.row, one.ids);
            plain.rows[one.row] = [...own, ...one.ids];
          } else if (one.kind === 'truncate') {
            tree.truncate(one.row, one.length);
            plain.rows[one.row] = own.slice(0, one.length);
          } else if (one.row !== one.to) {
            const length = Math.min(one.length, own.length);
            tree.copy({ row: one.row, length }, one.to);
            plain.rows[one.to] = own.slice(0, length);
          }
          for (const [index, expected] of plain.rows.entries()) {
            expect(tree.length(index)).toBe(expected.length);
            expect(tree.isCovered(index)).toBe(plain.covers(index));
          }
          // An inner node has two children: a row ends on an edge.
          expect(tree.size).toBeLessThanOrEqual(2 * COUNT);
        }
        for (const prompt of [...prompts, ...plain.rows]) {
          const found = matches(tree, prompt);
          expect(found.map(({ length }) => length)).toEqual(found.map(({ length }) => length).sort((a, b) => b - a));
          expect(byLength(found)).toEqual(byLength(plain.matches(prompt)));
        }
      },
    ),
    { seed: 1, numRuns: 400 },
  );
});
