/**
 * Types and helpers that all tokenizer models share: the vocabulary, and the encoding of one word. Pure.
 */
import { z } from 'zod';
import type { Steps } from '../../../protocol/start/slices.ts';

export interface WordModel {
  /** Ids of one word that the pre-tokenizer cut from the text. */
  encode(word: string): readonly number[];
}

/** Vocabulary of a model: token → id and id → token. */
export interface Vocabulary {
  readonly idOf: ReadonlyMap<string, number>;
  /** Indexed by id. */
  readonly tokens: readonly string[];
  /** UTF-16 units of the longest token. */
  readonly longest: number;
  /** False if two tokens have the same id. */
  readonly isUnique: boolean;
}

/** Tokens and ids that are read between two turns of the event loop. */
const STEP_ENTRIES = 2048;

export function* vocabularyOf(entries: Iterable<readonly [string, number]>): Steps<Vocabulary> {
  const idOf = new Map<string, number>();
  const tokens: string[] = [];
  let longest = 0;
  let isUnique = true;
  let count = 0;
  for (const [token, id] of entries) {
    if (token.length > longest) longest = token.length;
    if (tokens[id] !== undefined) isUnique = false;
    idOf.set(token, id);
    tokens[id] = token;
    count += 1;
    if (count % STEP_ENTRIES === 0) yield;
  }
  return { idOf, tokens, longest, isUnique };
}

/**
 * Tokens with their ids, as in the file. The schema checks only the object: checking every entry takes as
 * long as opening the tokenizer.
 */
export const vocabularyField = z.custom<Readonly<Record<string, number>> | ReadonlyMap<string, number>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'expected an object of tokens and ids',
);

/** The tokens and ids of a vocabulary: those of a file, or a map from the metadata of a GGUF file. */
export const entriesOf = (field: z.infer<typeof vocabularyField>): Iterable<readonly [string, number]> =>
  field instanceof Map ? field : Object.entries(field);

const encoder = new TextEncoder();

/** Ids of a text's UTF-8 bytes as tokens like `<0x41>`; undefined unless the vocabulary has all of them. */
export function byteIdsOf(text: string, idOf: ReadonlyMap<string, number>): number[] | undefined {
  const ids: number[] = [];
  for (const byte of encoder.encode(text)) {
    const id = idOf.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}
