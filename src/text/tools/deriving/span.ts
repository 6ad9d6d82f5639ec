/**
 * Finds one call in a rendering: its place, its style, and the texts between its name and its arguments.
 * Pure.
 */
import { isJsonObject, type JsonObject, jsonObjectOf } from '../json-object.ts';
import type { GemmaCalls, JsonCalls, NamedCalls, PythonicCalls, TaggedCalls } from '../output-profile.ts';
import { IDS, WORDS } from './probes.ts';

type Details =
  | Pick<JsonCalls, 'style' | 'nameKey' | 'argumentsKey'>
  | Pick<NamedCalls, 'style' | 'idMarker' | 'separator' | 'nameInId'>
  | Pick<TaggedCalls, 'style' | 'nameClose' | 'keyOpen' | 'keyClose' | 'otherKeyClose' | 'valueClose' | 'lines'>
  | Pick<PythonicCalls, 'style'>
  | Pick<GemmaCalls, 'style' | 'quote'>;

export interface Found {
  readonly details: Details;
  readonly start: number;
  readonly end: number;
  /** Exact text from `start` to the name. */
  readonly beforeName: string;
  /** Exact text from the name to the arguments, without spaces at its end. */
  readonly afterName: string;
}

export interface Call {
  readonly name: string;
  readonly id: string;
}

/** The call from a position of a text on; undefined if no known style shows there. */
export function findCall(text: string, call: Call, from: number): Found | undefined {
  const nameStart = text.indexOf(call.name, from);
  const keyAt = text.indexOf(WORDS.key, from);
  if (keyAt < 0) return undefined;
  const whole = objectWith(text, { from, keyAt }, (value) => contains(value, call.name));
  if (whole && nameStart >= 0) return jsonCall(text, nameStart, { ...whole, name: call.name });
  const values = objectWith(text, { from, keyAt }, (value) => WORDS.key in value);
  if (values) return namedCall(text, call, { ...values, from, nameStart });
  if (nameStart < 0 || keyAt < nameStart) return undefined;
  const nameEnd = nameStart + call.name.length;
  if (text.startsWith('call:', nameStart - 5)) return gemmaCall(text, nameStart, nameEnd);
  if (text.charAt(nameEnd) === '(') {
    const end = text.indexOf(')', text.indexOf(WORDS.number, nameEnd)) + 1;
    const texts = { beforeName: '', afterName: '(' };
    return end > 0 ? { details: { style: 'pythonic' }, start: nameStart, end, ...texts } : undefined;
  }
  return taggedCall(text, nameStart, nameEnd);
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly value: JsonObject;
}

/** Texts of the probe that no text around a name may hold. */
const PROBED = [...Object.values(IDS), WORDS.key];

/** Brackets that may begin the object: the text before a call has few. */
const MAX_BRACKETS = 32;

/** The first object of JSON that has a key at a place and fulfils a condition. */
function objectWith(
  text: string,
  { from, keyAt }: { readonly from: number; readonly keyAt: number },
  fits: (value: Span['value']) => boolean,
): Span | undefined {
  let start = text.indexOf('{', from);
  for (let tried = 0; tried < MAX_BRACKETS && start >= 0 && start < keyAt; tried += 1) {
    const end = objectEnd(text, start);
    const value = end > keyAt ? jsonObjectOf(text.slice(start, end)) : undefined;
    if (value && fits(value)) return { start, end, value };
    start = text.indexOf('{', start + 1);
  }
  return undefined;
}

/** A text of JSON, a bracket, or one other character. */
const JSON_UNIT = /"(?:[^"\\]|\\[\s\S])*"?|[\s\S]/g;

/** The position behind the bracket that closes an object; -1 if none does. */
function objectEnd(text: string, start: number): number {
  let open = 0;
  JSON_UNIT.lastIndex = start;
  for (let unit = JSON_UNIT.exec(text)?.[0]; unit !== undefined; unit = JSON_UNIT.exec(text)?.[0]) {
    if (unit === '{') open += 1;
    if (unit === '}') open -= 1;
    if (open === 0) return JSON_UNIT.lastIndex;
  }
  return -1;
}

/** True if a word is a key or a text anywhere in an object. */
const contains = (value: unknown, word: string): boolean => JSON.stringify(value).includes(`"${word}"`);

/** The key with a value, in the object or in one inside of it. */
function keyOf(value: Span['value'], fits: (inner: unknown) => boolean): string | undefined {
  for (const [key, inner] of Object.entries(value)) {
    if (fits(inner)) return key;
    const found = isJsonObject(inner) ? keyOf(inner, fits) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * A call as an object of JSON. Readers accept its members in any order: where the template writes the
 * arguments or an id before the name, `beforeName` and `afterName` begin an object with the name first, so
 * that they hold nothing of the probe.
 */
function jsonCall(text: string, nameStart: number, call: Span & { readonly name: string }): Found {
  const nameKey = keyOf(call.value, (inner) => inner === call.name) ?? 'name';
  const argumentsKey = keyOf(call.value, (inner) => isJsonObject(inner) && WORDS.key in inner) ?? 'arguments';
  const nameEnd = nameStart + call.name.length;
  const values = text.indexOf('{', nameEnd);
  const { start, end } = call;
  const details = { style: 'json', nameKey, argumentsKey } as const;
  const beforeName = text.slice(start, nameStart);
  const afterName = text.slice(nameEnd, Math.max(values, nameEnd)).replace(/ +$/, '');
  const isNameFirst = values < end && afterName.endsWith(':');
  if (isNameFirst && !PROBED.some((word) => (beforeName + afterName).includes(word)))
    return { details, start, end, beforeName, afterName };
  return {
    ...{ details, start, end },
    beforeName: `{${JSON.stringify(nameKey)}: "`,
    afterName: `", ${JSON.stringify(argumentsKey)}:`,
  };
}

function namedCall(
  text: string,
  { name, id }: Call,
  { start, end, from, nameStart }: Span & { readonly from: number; readonly nameStart: number },
): Found | undefined {
  const nameInId = nameStart < 0 || nameStart > start;
  const wordStart = nameInId ? text.indexOf(id, from) : nameStart;
  if (wordStart < 0 || wordStart > start) return undefined;
  const rest = text.slice(wordStart + (nameInId ? id : name).length, start);
  const idAt = nameInId ? -1 : rest.indexOf(id);
  const separator = (idAt < 0 ? rest : rest.slice(idAt + id.length)).trim();
  const idMarker = idAt < 0 ? '' : rest.slice(0, idAt).trim();
  const afterName = (idAt < 0 ? rest : rest.slice(0, idAt)).replace(/ +$/, '');
  const details = { style: 'named', idMarker, separator, nameInId } as const;
  return { details, start: wordStart, end, beforeName: '', afterName };
}

function gemmaCall(text: string, nameStart: number, nameEnd: number): Found | undefined {
  const start = text.indexOf(WORDS.key, nameEnd) + WORDS.key.length + 1;
  const quote = text.slice(start, text.indexOf(WORDS.value, start));
  const end = text.indexOf('}', text.indexOf(WORDS.number, start)) + 1;
  if (quote === '' || end === 0) return undefined;
  return { details: { style: 'gemma', quote }, start: nameStart - 5, end, beforeName: 'call:', afterName: '{' };
}

function taggedCall(text: string, nameStart: number, nameEnd: number): Found | undefined {
  const places = [WORDS.key, WORDS.value, WORDS.otherKey, WORDS.number].map((word) => text.indexOf(word, nameEnd));
  const [key = -1, value = -1, other = -1, number = -1] = places;
  if (key < 0 || value < key || other < value || number < other) return undefined;
  const before = text.slice(nameEnd, key);
  const gap = text.slice(value + WORDS.value.length, other);
  let shared = 0;
  while (shared < before.length && before.at(-1 - shared) === gap.at(-1 - shared)) shared += 1;
  const open = before.slice(before.length - shared);
  // The tag begins at its bracket.
  const keyOpen = open.slice(Math.max(0, open.lastIndexOf('<'))).trim();
  const keyClose = text.slice(key + WORDS.key.length, value);
  const valueClose = gap.slice(0, gap.length - keyOpen.length).trim();
  if (keyOpen === '' || valueClose === '' || keyClose.trim() === '') return undefined;
  const opened = before.slice(0, before.lastIndexOf(keyOpen));
  const details = {
    style: 'tagged',
    nameClose: opened.trim(),
    keyOpen,
    keyClose: keyClose.trim(),
    otherKeyClose: text.slice(other + WORDS.otherKey.length, number).trim(),
    valueClose,
    lines: keyClose.endsWith('\n') && /^\s*\n/.test(gap),
  } as const;
  const last = text.indexOf(valueClose, number);
  const end = last < 0 ? number + WORDS.number.length : last + valueClose.length;
  return { details, start: nameStart, end, beforeName: '', afterName: opened.replace(/ +$/, '') };
}
