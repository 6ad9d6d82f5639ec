/** The pieces of JSON for its colours. Pure. */

/**
 * One piece of JSON: a string that may be a key, a number, or a word. The last string of a text that grows
 * has no end yet: without the `?`, each escaped quote in it would begin another search to the end.
 */
const PIECE = /("(?:[^"\\]|\\.)*"?)(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g;

/** A text between two pieces has no kind. */
export interface JsonPiece {
  readonly kind?: 'key' | 'string' | 'number' | 'word';
  readonly text: string;
}

/** The pieces of JSON, which may be incomplete. All texts joined are the given text. */
export function jsonPieces(text: string): readonly JsonPiece[] {
  const pieces: JsonPiece[] = [];
  let at = 0;
  for (const match of text.matchAll(PIECE)) {
    const [whole, string, colon, number] = match;
    const kind = string === undefined ? (number === undefined ? 'word' : 'number') : colon ? 'key' : 'string';
    pieces.push({ text: text.slice(at, match.index) }, { kind, text: string ?? whole }, { text: colon ?? '' });
    at = match.index + whole.length;
  }
  return [...pieces, { text: text.slice(at) }].filter((piece) => piece.text !== '');
}
