/**
 * Finds added tokens, including special tokens, in a text before the other stages process it. The text
 * between added tokens goes through the normal stages. Follows the Rust library (`added_vocabulary`). Pure.
 */
import { z } from 'zod';
import { lazy } from '../../protocol/start/lazy.ts';
import type { Steps } from '../../protocol/start/slices.ts';
import { Trie } from './models/trie.ts';
import { trimmedLength } from './stages/normalizers.ts';
import { SPACE } from './stages/patterns.ts';

const flag = z.boolean().default(false);
export const addedToken = z.object({
  id: z.int().nonnegative(),
  content: z.string(),
  single_word: flag,
  lstrip: flag,
  rstrip: flag,
  special: flag,
  /**
   * If absent, ordinary tokens are searched in the normalized text and special tokens in the original text.
   */
  normalized: z.boolean().optional(),
});
export type AddedToken = z.infer<typeof addedToken>;

/** Part of a text: an added token (with `id`), or text between added tokens. */
export interface Section {
  readonly from: number;
  readonly to: number;
  readonly id?: number;
}

const LEADING = new RegExp(`${SPACE}*`, 'uy');
const WORD = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';
const STARTS_WITH_WORD = lazy(() => new RegExp(WORD, 'uy'));
const ENDS_WITH_WORD = lazy(() => new RegExp(`${WORD}$`, 'u'));

/** Tokens that are converted between two turns of the event loop. */
const STEP_TOKENS = 512;

export class AddedTokens {
  readonly #tokens: readonly AddedToken[];
  readonly #trie: Trie;
  /** UTF-16 units that can begin a token. Most positions of a text need only this check. */
  readonly #first: ReadonlySet<number>;
  readonly #lengths: readonly number[];
  /** UTF-16 units of the longest token, in the original or in the searched form. */
  readonly longest: number;

  /** @param textOf converts a token to the form of the searched texts: original or normalized */
  static *of(tokens: readonly AddedToken[], textOf: (content: string) => string): Steps<AddedTokens> {
    const texts: string[] = [];
    for (const { content } of tokens) if (texts.push(textOf(content)) % STEP_TOKENS === 0) yield;
    return new AddedTokens(tokens, texts, yield* Trie.of(texts));
  }

  private constructor(tokens: readonly AddedToken[], texts: readonly string[], trie: Trie) {
    this.#tokens = tokens;
    this.#trie = trie;
    this.#first = new Set(texts.filter((text) => text !== '').map((text) => text.charCodeAt(0)));
    this.#lengths = texts.map((text) => text.length);
    this.longest = tokens.reduce(
      (longest, { content }, at) => Math.max(longest, content.length, this.#lengths[at] ?? 0),
      0,
    );
  }

  /** Sections of a text, left to right. If several tokens begin at the same position, the longest is used. */
  split(text: string): readonly Section[] {
    const sections: Section[] = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const index = this.#first.has(text.charCodeAt(at)) ? this.#trie.longestAt(text, at) : -1;
      const token = this.#tokens[index];
      if (!token) {
        at += 1;
        continue;
      }
      const end = at + (this.#lengths[index] ?? 0);
      if (!token.single_word || isWholeWord(text, at, end)) {
        const from = token.lstrip ? Math.max(trimmedLength(text.slice(done, at)) + done, done) : at;
        if (done < from) sections.push({ from: done, to: from });
        done = token.rstrip ? afterSpace(text, end) : end;
        sections.push({ from, to: done, id: token.id });
      }
      at = Math.max(end, done);
    }
    if (done < text.length) sections.push({ from: done, to: text.length });
    return sections;
  }
}

function isWholeWord(text: string, from: number, to: number): boolean {
  const word = STARTS_WITH_WORD();
  word.lastIndex = to;
  return !word.test(text) && !ENDS_WITH_WORD().test(text.slice(Math.max(0, from - 2), from));
}

function afterSpace(text: string, from: number): number {
  LEADING.lastIndex = from;
  LEADING.test(text);
  return Math.max(LEADING.lastIndex, from);
}
