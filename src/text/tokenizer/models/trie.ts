/**
 * Prefix tree of texts: finds every known text that starts at a position of another text. Pure.
 */
import type { Steps } from '../../../protocol/start/slices.ts';
import { PairTable } from './pair-table.ts';

/** Texts that are added between two turns of the event loop. */
const STEP_TEXTS = 512;

export class Trie {
  readonly #edges: PairTable;
  /** By node, the index of the text that ends there; −1 if none does. */
  readonly #ends: number[] = [-1];

  private constructor(expected: number) {
    this.#edges = new PairTable(expected);
  }

  /** @param texts indexed from 0; the last of equal texts counts, and empty texts never match */
  static *of(texts: readonly string[]): Steps<Trie> {
    const trie = new Trie(texts.length * 2);
    for (const [index, text] of texts.entries()) {
      if (text !== '') trie.#ends[trie.#nodeOf(text)] = index;
      if (index % STEP_TEXTS === 0) yield;
    }
    return trie;
  }

  /** Calls `onMatch` for every text that starts at `from` in `text`, shortest first. */
  eachAt(text: string, from: number, onMatch: (end: number, index: number) => void): void {
    let node = 0;
    for (let at = from; at < text.length; at++) {
      node = this.#edges.get(node, text.charCodeAt(at));
      if (node < 0) return;
      const index = this.#ends[node] ?? -1;
      if (index >= 0) onMatch(at + 1, index);
    }
  }

  /** Index of the longest text that starts at `from` in `text`; −1 if there is none. */
  longestAt(text: string, from: number): number {
    let longest = -1;
    this.eachAt(text, from, (_, index) => {
      longest = index;
    });
    return longest;
  }

  #nodeOf(text: string): number {
    let node = 0;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      let next = this.#edges.get(node, unit);
      if (next < 0) {
        next = this.#ends.push(-1) - 1;
        this.#edges.set(node, unit, next);
      }
      node = next;
    }
    return node;
  }
}
