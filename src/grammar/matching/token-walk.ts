/** A walk through a trie of tokens beside an automaton: it finds the tokens that a state allows. Pure. */

import { type Automaton, DEAD, firstIn } from './automaton.ts';
import type { ByteTrie } from './byte-trie.ts';
import type { Found } from './found-mask.ts';
import type { TokensToEnd } from './tokens-to-end.ts';

/** A trie whose ids are tokens, or entries of a list of tokens. */
export interface TokenTrie {
  readonly trie: ByteTrie;
  /** For ids of equal texts: the id before it; -1 for the first. */
  readonly same: Int32Array;
  /** The token of each id, if the ids are entries of a list. */
  readonly tokens?: Int32Array;
  /** Characters of each token that are not in the trie. */
  readonly chars?: Int32Array;
}

const EMPTY: TokenTrie = {
  trie: { bytes: new Uint8Array(1), children: new Int32Array(2), ids: new Int32Array(1), height: 0 },
  same: new Int32Array(),
};

export class TokenWalk {
  readonly #automaton: Automaton;
  readonly #toEnd: TokensToEnd;
  #source = EMPTY;
  #found: Found | undefined;
  #chars = Number.POSITIVE_INFINITY;

  constructor(automaton: Automaton, toEnd: TokensToEnd) {
    this.#automaton = automaton;
    this.#toEnd = toEnd;
  }

  /**
   * Adds the tokens of a trie that a state allows.
   * @param chars most characters that are not in the trie
   */
  add(found: Found, source: TokenTrie, state: number, chars = Number.POSITIVE_INFINITY): void {
    this.#source = source;
    this.#found = found;
    this.#chars = chars;
    this.#walk(0, state, 0, 0);
  }

  /**
   * Walks the children of a node.
   * @param depth bytes up to the node
   * @param ends not 0 if a name of a group has ended on the way to the node
   */
  #walk(node: number, from: number, depth: number, ends: number): void {
    const automaton = this.#automaton;
    const { bytes, children, ids } = this.#source.trie;
    const table = automaton.tableOf(from);
    const row = firstIn(from);
    const last = children[node + 1] ?? 0;
    for (let child = children[node] ?? last; child < last; child += 1) {
      const byte = bytes[child] ?? 0;
      let next = table[row + byte] ?? DEAD;
      if (next === DEAD) continue;
      if (next < 0) {
        next = automaton.next(from, byte);
        if (next === DEAD) continue;
      }
      const nowEnds = (automaton.flags[next] ?? 0) | ends;
      const id = ids[child] ?? -1;
      if (id >= 0) this.#addTokens(id, next, depth + 1, nowEnds);
      if ((children[child + 1] ?? 0) > (children[child] ?? 0)) this.#walk(child, next, depth + 1, nowEnds);
    }
  }

  /** Adds the tokens of a text, which lead to a state. */
  #addTokens(id: number, state: number, depth: number, ends: number): void {
    const found = this.#found;
    if (!found || !this.#toEnd.isNear(state, found)) return;
    const { same, tokens, chars } = this.#source;
    for (let one = id; one >= 0; one = same[one] ?? -1) {
      if (chars && (chars[one] ?? 0) > this.#chars) continue;
      const token = tokens ? (tokens[one] ?? 0) : one;
      found.add(token);
      found.reach(token, depth, this.#automaton.restOf(state));
      if (ends !== 0) found.ends.push(token);
    }
  }
}
