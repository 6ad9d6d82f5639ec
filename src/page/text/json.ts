/** JSON as a person reads it. Pure, except for the elements it makes. */
import { h } from '../dom.ts';

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

/** One piece of JSON: a string that may be a key, a number, or a word. */
const PIECE = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g;

/** The pieces of JSON in elements with a class for each kind. */
export function highlightedJson(text: string): HTMLElement {
  const code = h('code', { class: 'json' });
  let at = 0;
  for (const match of text.matchAll(PIECE)) {
    const [whole, string, colon, number] = match;
    code.append(text.slice(at, match.index));
    at = match.index + whole.length;
    const kind = string === undefined ? (number === undefined ? 'word' : 'number') : colon ? 'key' : 'string';
    code.append(h('span', { class: `json-${kind}` }, string ?? whole), colon ?? '');
  }
  code.append(text.slice(at));
  return h('pre', { class: 'code', tabindex: 0 }, code);
}
