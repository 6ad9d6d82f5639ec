/**
 * Removes the secrets of URLs from text. Scheme, host, port and path stay. User, password, query and fragment
 * do not: signatures, keys and tokens are in any of them, under any name. Pure, in linear time.
 */

const REDACTED = '[REDACTED]';

/**
 * A URL up to white space or a character that a URL cannot contain. A quotation mark ends it too: URLs in
 * JSON have one behind them.
 */
const URL_IN_TEXT = /(\b(?:https?|wss?):\/\/)([^\s"<>`]+)/gi;
/** The query of an address without a scheme and a host, such as `/path?name=value`. The names stay. */
const QUERY_VALUE = /([?&][\w.~%-]{1,64}=)(?!\[REDACTED\])[^\s&"<>`]+/g;
/** Punctuation of the sentence around a URL. */
const CLOSING = /[)\]'.,;:]/;
/** Most characters of such punctuation at the end of a URL. */
const MOST_CLOSING = 3;

/** Replaces user, password, query and fragment of every http, https, ws and wss URL in a text. */
export function withoutUrlSecrets(text: string): string {
  if (!/[:?&]/.test(text)) return text;
  return text
    .replace(URL_IN_TEXT, (_, scheme: string, rest: string) => scheme + withoutSecrets(rest))
    .replace(QUERY_VALUE, `$1${REDACTED}`);
}

/**
 * A URL as clients send it. The characters that it cannot contain would end the URL in a text, and so the
 * redaction of its query.
 */
export function encodedUrl(url: string): string {
  return url.replace(/[\t\r\n]/g, '').replace(/[\s"<>`]/g, encodeURIComponent);
}

/**
 * A value that should be a URL, without its secrets, for an error message. The value may be malformed, so
 * everything up to the last @ and from the first ? or # on is removed.
 */
export function shownUrl(value: string): string {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]{0,30}:\/\/)?([\s\S]*)$/i.exec(value) ?? [];
  return scheme + withoutSecrets(rest, rest.split(/[?#]/, 1)[0]?.length);
}

/**
 * @param rest a URL behind its scheme
 * @param endOfUser the position that ends the search for the @ behind the user
 */
function withoutSecrets(rest: string, endOfUser = endOfAuthority(rest)): string {
  const at = endOfUser > 0 ? rest.lastIndexOf('@', endOfUser - 1) : -1;
  const user = at < 0 ? '' : `${REDACTED}@`;
  const place = rest.slice(at + 1);
  const start = positionOf(place, /[?#]/) + 1;
  const tail = place.slice(start);
  if (tail === '') return user + place;
  // A query that is redacted already stays: the second time changes nothing.
  const end = closingOf(tail.startsWith(REDACTED) ? tail.slice(REDACTED.length) : tail);
  return `${user}${place.slice(0, start)}${REDACTED}${end}`;
}

/**
 * The end of user, host and port. A port that is no number is part of a password with a / or ? in it, so the
 * search goes on to the last character.
 */
function endOfAuthority(rest: string): number {
  const end = positionOf(rest, /[/?#\\]/);
  const authority = rest.slice(0, end);
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  const port = /:([^:\]]*)$/.exec(host)?.[1] ?? '';
  return /^\d{0,5}$/.test(port) ? end : rest.length;
}

/** The position of the first match, or the length of the text. */
function positionOf(text: string, pattern: RegExp): number {
  const at = text.search(pattern);
  return at < 0 ? text.length : at;
}

function closingOf(text: string): string {
  let start = text.length;
  const least = Math.max(0, text.length - MOST_CLOSING);
  while (start > least && CLOSING.test(text[start - 1] ?? '')) start -= 1;
  return text.slice(start);
}
