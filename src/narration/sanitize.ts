/**
 * Makes a string safe to show and to log, for both sinks: removes secrets and harmful characters, and limits
 * the length. Every pattern runs in linear time: a quantifier is bounded, or it stops at a character that the
 * next part of the pattern cannot match.
 */
import { createHash } from 'node:crypto';
import { lazy } from '../protocol/start/lazy.ts';
import { withoutUrlSecrets } from '../protocol/text/url-text.ts';

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
  // Passwords in URLs of other schemes: the text between the first colon and the last @ of the authority.
  [/(:\/\/[^\s:/@]{0,256}:)[^\s/]{1,512}@/g, `$1${REDACTED}@`],
  // key=value, key: value, "key": "value".
  [
    /((?:api[_-]?key|access[_-]?key|private[_-]?key|token|secret|passw(?:or)?d|passphrase|credentials?|authorization)["']?[ \t]{0,3}[=:][ \t]{0,3}["']?)(?!\[REDACTED\]|Bearer \[|Basic \[|Token \[)[^\s"',;&]+/gi,
    `$1${REDACTED}`,
  ],
];

const LINE_BREAKS_AND_TABS = /[\t\n\v\f\r\u0085\u2028\u2029]+/g;
/** Wide and invisible characters that people write as a space. */
const ODD_SPACES = /[\u2800\u3000]/g;
/**
 * Characters that a reader does not see, or that change the text around them: controls (C0, DEL, C1), format
 * characters (zero width, direction, tags), default-ignorable ones (variation selectors, fillers), private
 * use, noncharacters and lone surrogates.
 */
const HIDDEN = String.raw`[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]`;
const HARMFUL = new RegExp(String.raw`${HIDDEN}|[\u2028\u2029\u2800\u3000]`, 'u');
/** The three flags of Unicode that are made of tags: England, Scotland, Wales. Other tags can hide text. */
const TAG_FLAGS = ['gbeng', 'gbsct', 'gbwls'].map((name) => `\u{1F3F4}${tagged(name)}\u{E007F}`).join('|');
/** A pictograph with its presentation or skin tone. */
const PICTOGRAPH = String.raw`\p{Extended_Pictographic}(?:[\uFE0E\uFE0F]|\p{Emoji_Modifier})?`;
/** Emoji that contain hidden characters, and keep them; otherwise one hidden character. */
const EMOJI_OR_HIDDEN = new RegExp(
  String.raw`(${TAG_FLAGS}|[0-9#*]\uFE0F\u20E3|${PICTOGRAPH}(?:\u200D${PICTOGRAPH})*)|${HIDDEN}`,
  'gu',
);

/** The characters of a name as Unicode tags. */
function tagged(name: string): string {
  return Array.from(name, (char) => String.fromCodePoint(0xe0000 + char.charCodeAt(0))).join('');
}

const exactSecrets = new Set<string>();

/** Length from which a secret is removed from texts. A shorter password may be an ordinary word. */
const LEAST_SECRET = 8;

/**
 * Registers a secret of this process (the API token, the token of the hub, the password of a proxy). `redact`
 * then removes it everywhere.
 * @returns the first 8 hex digits of its SHA-256, which may be logged: two operators can compare their tokens
 * with it.
 */
export function keepSecret(secret: string): string {
  if (secret.length >= LEAST_SECRET) exactSecrets.add(secret);
  return createHash('sha256').update(secret).digest('hex').slice(0, 8);
}

/** True if a text contains a registered secret. */
export function holdsSecret(text: string): boolean {
  for (const secret of exactSecrets) if (text.includes(secret)) return true;
  return false;
}

/**
 * Replaces registered secrets, and users, passwords, queries and fragments of URLs by `[REDACTED]`: for
 * sentences of this program, where a word such as "token" is no sign of a secret.
 */
export function redactKnown(text: string): string {
  let clean = text;
  for (const secret of exactSecrets) clean = clean.replaceAll(secret, REDACTED);
  return withoutUrlSecrets(clean);
}

/** For all other text: replaces bearer tokens, key=value secrets, JWTs and PEM private keys too. */
export function redact(text: string): string {
  let clean = redactKnown(text);
  for (const [pattern, replacement] of SECRETS) clean = clean.replace(pattern, replacement);
  return clean;
}

/**
 * Replaces line breaks and tabs by one space, and removes every hidden character. Emoji stay whole, with
 * their joiners and variation selectors.
 */
export function harmless(text: string): string {
  if (!HARMFUL.test(text)) return text;
  const oneLine = text.replace(LINE_BREAKS_AND_TABS, ' ').replace(ODD_SPACES, ' ');
  return oneLine.replace(EMOJI_OR_HIDDEN, (_, emoji: string | undefined) => emoji ?? '');
}

/** Makes each line of a text harmless. Line feeds stay. */
export function harmlessLines(text: string): string {
  return HARMFUL.test(text) ? text.split(/\r?\n/).map(harmless).join('\n') : text;
}

/** Loads data of ICU, which takes 10 ms. */
const graphemes = lazy(() => new Intl.Segmenter('en', { granularity: 'grapheme' }));

/** Cuts `text` to at most `limit` UTF-16 units at a grapheme boundary. A cut text ends with an ellipsis. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  let end = 0;
  for (const { index, segment } of graphemes().segment(text.slice(0, limit + 64))) {
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
