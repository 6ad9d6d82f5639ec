/**
 * Makes a string fit to be shown and logged: secrets removed, harmful characters made harmless, length bounded at a whole character.
 * The one place for both sinks. Every pattern is linear: a quantifier is either bounded or stops at a character that its neighbour cannot match.
 */
import { createHash } from 'node:crypto';

const REDACTED = '[REDACTED]';

/** Work is bounded before any pattern runs; nothing that long is shown anyway. */
const LONGEST_INPUT = 8192;

const SECRETS: readonly (readonly [RegExp, string])[] = [
  // PEM private keys: PKCS#1, PKCS#8 (plain and encrypted), EC, OpenSSH. A key without its last line is removed to the end.
  [
    /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20}-----(?:(?!-----END )[\s\S])*(?:-----END [A-Z0-9 ]{0,60}-----)?/g,
    REDACTED,
  ],
  // JWTs: three base64url parts, the first of which starts like `{"`.
  [/(?<![\w-])eyJ[\w-]{5,}\.[\w-]*(?:\.[\w-]*)?/g, REDACTED],
  // Authorization values.
  [/\b(Bearer|Basic|Token)[ \t]{1,3}[\w.~+/=-]{3,}/gi, `$1 ${REDACTED}`],
  // URL passwords: everything between the first colon and the last @ of the authority.
  [/(:\/\/[^\s:/@]{0,256}:)[^\s/]{1,512}@/g, `$1${REDACTED}@`],
  // key=value, key: value, "key": "value".
  [
    /((?:api[_-]?key|access[_-]?key|private[_-]?key|token|secret|passw(?:or)?d|passphrase|credentials?|authorization)["']?[ \t]{0,3}[=:][ \t]{0,3}["']?)(?!\[REDACTED\]|Bearer \[|Basic \[|Token \[)[^\s"',;&]+/gi,
    `$1${REDACTED}`,
  ],
];

// Control characters (C0, DEL, C1), line separators, and characters of the Unicode category Cf that are invisible or change direction.
// ZWJ (U+200D) is handled apart: between two pictographs it joins an emoji.
const LINE_BREAKS_AND_TABS = /[\t\n\v\f\r\u0085\u2028\u2029]+/g;
const INVISIBLE = /[\p{Cc}\p{Cf}\u115F\u1160\u3164\uFFA0]/gu;
const HARMFUL = /[\p{Cc}\p{Cf}\u2028\u2029\u115F\u1160\u3164\uFFA0]/u;
const JOINS_EMOJI_BEFORE = /(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\uFE0F)$/u;
const JOINS_EMOJI_AFTER = /^\p{Extended_Pictographic}/u;

const exactSecrets = new Set<string>();

/**
 * Names a secret of this process (the worker's own API token) that must never appear, whatever stands around it.
 * @returns what may be told of it: the first 8 hex digits of its SHA-256, by which two operators see whether they mean the same.
 */
export function keepSecret(secret: string): string {
  if (secret.length > 0) exactSecrets.add(secret);
  return createHash('sha256').update(secret).digest('hex').slice(0, 8);
}

/** Replaces secrets by `[REDACTED]`: bearer tokens, key=value secrets, JWTs, PEM private keys, URL passwords, this process's own token. */
export function redact(text: string): string {
  let clean = text;
  for (const secret of exactSecrets) clean = clean.replaceAll(secret, REDACTED);
  for (const [pattern, replacement] of SECRETS) clean = clean.replace(pattern, replacement);
  return clean;
}

/** Line breaks and tabs become one space; control and zero-width formatting characters vanish; a ZWJ inside an emoji stays. */
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

/** Cuts `text` to at most `limit` UTF-16 units, at a whole character as a reader sees it, with an ellipsis for what is missing. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  let end = 0;
  for (const { index, segment } of graphemes.segment(text.slice(0, limit + 64))) {
    if (index + segment.length > limit - 1) break;
    end = index + segment.length;
  }
  return `${text.slice(0, end).trimEnd()}…`;
}

/** All of the above, in the order that leaves no half secret: an invisible character must not split one, nor the cut. */
export function sanitize(text: string, limit: number): string {
  const bounded = text.length > LONGEST_INPUT ? text.slice(0, LONGEST_INPUT) : text;
  return cut(redact(harmless(bounded.toWellFormed())), limit);
}
