/** JSON as a person reads it. Pure, except for the elements it makes. */
import { h } from '../dom.ts';
import { type JsonPiece, jsonPieces } from './json-pieces.ts';

/** A whole JSON object or array, with indentation; undefined for any other text. */
export function prettyJson(text: string): string | undefined {
  const trimmed = text.trim();
  if (!/^[[{]/.test(trimmed)) return undefined;
  try {
    return JSON.stringify(JSON.parse(trimmed), undefined, 2);
  } catch {
    return undefined;
  }
}

/** Longest text whose pieces become elements, in characters: a text that grows is drawn in every frame. */
const MOST_HIGHLIGHTED = 50_000;

/** JSON with a class for each kind of piece. A long text has no classes. */
export function highlightedJson(text: string): HTMLElement {
  const pieces: readonly JsonPiece[] = text.length > MOST_HIGHLIGHTED ? [{ text }] : jsonPieces(text);
  const children = pieces.map((piece) =>
    piece.kind ? h('span', { class: `json-${piece.kind}` }, piece.text) : piece.text,
  );
  return h('pre', { class: 'code', tabindex: 0 }, h('code', { class: 'json' }, ...children));
}
