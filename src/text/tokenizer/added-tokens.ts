/**
 * Added tokens, special ones among them, are found in a text before anything else is done with it; what stands between them goes the way
 * of all text. As in the Rust library (`added_vocabulary`). Touches nothing.
 */
import { z } from 'zod';
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
  /** Absent: ordinary words are looked for in the normalized text, special tokens in the text as it came. */
  normalized: z.boolean().optional(),
});
export type AddedToken = z.infer<typeof addedToken>;

/** A part of a text: an added token, or what stands between two. */
export interface Section {
  readonly from: number;
  readonly to: number;
  readonly id?: number;
}

const LEADING = new RegExp(`${SPACE}*`, 'uy');
const WORD = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';
const STARTS_WITH_WORD = new RegExp(WORD, 'uy');
const ENDS_WITH_WORD = new RegExp(`${WORD}$`, 'u');

export class AddedTokens {
  readonly #tokens: readonly AddedToken[];
  readonly #trie: Trie;
  /** UTF-16 units that a token may begin with: most places of a text are passed by one look. */
  readonly #first: ReadonlySet<number>;
  readonly #lengths: readonly number[];

  /** @param textOf what a token looks like in the texts that it is looked for in. */
  constructor(tokens: readonly AddedToken[], textOf: (content: string) => string) {
    const texts = tokens.map(({ content }) => textOf(content));
    this.#tokens = tokens;
    this.#trie = new Trie(texts);
    this.#first = new Set(texts.filter((text) => text !== '').map((text) => text.charCodeAt(0)));
    this.#lengths = texts.map((text) => text.length);
  }

  /** The sections of a text, left to right; of tokens that begin together the longest counts. */
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
  STARTS_WITH_WORD.lastIndex = to;
  return !STARTS_WITH_WORD.test(text) && !ENDS_WITH_WORD.test(text.slice(Math.max(0, from - 2), from));
}

function afterSpace(text: string, from: number): number {
  LEADING.lastIndex = from;
  LEADING.test(text);
  return Math.max(LEADING.lastIndex, from);
}
