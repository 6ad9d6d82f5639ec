/**
 * Makes a string safe to show and to log, for both sinks: removes secrets and harmful characters, and limits
 * the length. Every pattern runs in linear time: a quantifier is bounded, or it stops at a character that the
 * next part of the pattern cannot match.
 */
import { createHash } from 'node:crypto';

const REDACTED = '[REDACTED]';

/** Longer input is cut before any pattern runs. No text of this length is ever shown. */
export const LONGEST_INPUT = 8192;

const SECRETS: readonly (readonly [RegExp, string])[] = [
  // PEM private keys: PKCS#1, PKCS#8 (plain and encrypted), EC, OpenSSH. Without an END line, the rest of the
  // text is removed.
  [
    /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20}-----(?:(?!-----END )[\s\S])*(?:-----END [A-Z0-9 ]{0,60}-----)?/g,
    REDACTED,
  ],
  // JWTs: three base64url parts; the first one starts with the encoding of `{"`.
  [/(?<![\w-])eyJ[\w-]{5,}\.[\w-]*(?:\.[\w-]*)?/g, REDACTED],
  // Authorization values.
  [/\b(Bearer|Basic|Token)[ \t]{1,3}[\w.~+/=-]{3,}/gi, `$1 ${REDACTED}`],
  // URL passwords: the text between the first colon and the last @ of the authority.
  [/(:\/\/[^\s:/@]{0,256}:)[^\s/]{1,512}@/g, `$1${REDACTED}@`],
  // key=value, key: value, "key": "value".
  [
    /((?:api[_-]?key|access[_-]?key|private[_-]?key|token|secret|passw(?:or)?d|passphrase|credentials?|authorization)["']?[ \t]{0,3}[=:][ \t]{0,3}["']?)(?!\[REDACTED\]|Bearer \[|Basic \[|Token \[)[^\s"',;&]+/gi,
    `$1${REDACTED}`,
  ],
];

// Control characters (C0, DEL, C1), line separators, and the Unicode category Cf: invisible or
// direction-changing characters. ZWJ (U+200D) is a special case: between two pictographs it joins them into
// one emoji.
const LINE_BREAKS_AND_TABS = /[\t\n\v\f\r\u0085\u2028\u2029]+/g;
const INVISIBLE = /[\p{Cc}\p{Cf}\u115F\u1160\u3164\uFFA0]/gu;
const HARMFUL = /[\p{Cc}\p{Cf}\u2028\u2029\u115F\u1160\u3164\uFFA0]/u;
const JOINS_EMOJI_BEFORE = /(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\uFE0F)$/u;
const JOINS_EMOJI_AFTER = /^\p{Extended_Pictographic}/u;

const exactSecrets = new Set<string>();

/**
 * Registers a secret of this process (the API token of the worker). `redact` then removes it everywhere.
 * @returns the first 8 hex digits of its SHA-256, which may be logged: two operators can compare their tokens
 * with it.
 */
export function keepSecret(secret: string): string {
  if (secret.length > 0) exactSecrets.add(secret);
  return createHash('sha256').update(secret).digest('hex').slice(0, 8);
}

/** True if a text contains a registered secret. */
export function holdsSecret(text: string): boolean {
  for (const secret of exactSecrets) if (text.includes(secret)) return true;
  return false;
}

/**
 * Replaces bearer tokens, key=value secrets, JWTs, PEM private keys, URL passwords and registered secrets by
 * `[REDACTED]`.
 */
export function redact(text: string): string {
  let clean = text;
  for (const secret of exactSecrets) clean = clean.replaceAll(secret, REDACTED);
  for (const [pattern, replacement] of SECRETS) clean = clean.replace(pattern, replacement);
  return clean;
}

/**
 * Replaces line breaks and tabs by one space, and removes control and invisible characters. A ZWJ inside an
 * emoji stays.
 */
export function harmless(text: string): string {
  if (!HARMFUL.test(text)) return text;
  const oneLine = text.replace(LINE_BREAKS_AND_TABS, ' ');
  return oneLine.replace(INVISIBLE, (character, offset: number) => {
    const joinsEmoji =
      character === '\u200D' &&
      JOINS_EMOJI_BEFORE.test(oneLine.slice(Math.max(0, offset - 2), offset)) &&
      JOINS_EMOJI_AFTER.test(oneLine.slice(offset + 1, offset + 3));
    return joinsEmoji ? character : '';
  });
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Cuts `text` to at most `limit` UTF-16 units at a grapheme boundary. A cut text ends with an ellipsis. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  let end = 0;
  for (const { index, segment } of graphemes.segment(text.slice(0, limit + 64))) {
    if (index + segment.length > limit - 1) break;
    end = index + segment.length;
  }
  return `${text.slice(0, end).trimEnd()}…`;
}

/**
 * Applies the steps in the one safe order: neither an invisible character nor the cut may split a secret
 * before it is redacted.
 */
export function sanitize(text: string, limit: number): string {
  const bounded = text.length > LONGEST_INPUT ? text.slice(0, LONGEST_INPUT) : text;
  return cut(redact(harmless(bounded.toWellFormed())), limit);
}
