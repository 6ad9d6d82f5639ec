/**
 * Turns the text of a template into the library's tokens. The time is linear in the length of the text.
 * Pure.
 */
import { type Token, tokenize } from '@huggingface/jinja';

/** @throws Error for a character or an escape that Jinja does not know. */
export function tokensOf(source: string): readonly Token[] {
  // Jinja reads CR LF as one line end.
  const text = source.replaceAll(/\r\n?/g, '\n').replaceAll(GENERATION, asFilter);
  return tokenize(unchanged(withoutBlockSpace(text)));
}

/**
 * Jinja's options `trim_blocks` and `lstrip_blocks`, as the library applies them: drops the last line end of
 * a template, the spaces before a tag at the start of a line, and the line end after a tag.
 */
function withoutBlockSpace(text: string): string {
  const kept = text.endsWith('\n') ? text.slice(0, -1) : text;
  return kept.replaceAll(/^[ \t]*(\{[#%-])/gm, '$1').replaceAll(/([#%-]\})\n/g, '$1');
}

/**
 * A source that passes through the library's own pass over white space unchanged. That pass always searches
 * for `generation` tags, with a pattern whose time is quadratic in a run of white space: 3 s for 40 000
 * spaces.
 */
const unchanged = (text: string): { endsWith(): boolean; replace(): string } => ({
  endsWith: () => false,
  replace: () => text,
});

/**
 * Finds `generation` tags. The library deletes these tags, so variables set inside the block would stay
 * visible after it. A filter block that changes nothing keeps the scope.
 */
const GENERATION = /(\{%[-+]?\s*)(end)?generation(?=\s*[-+]?%\})/g;

function asFilter(_: string, opening: string, ends: string | undefined): string {
  return ends === undefined ? `${opening}filter string` : `${opening}endfilter`;
}
