/**
 * What every model of a tokenizer has: tokens with their ids, and a way from a word to ids. Touches nothing.
 */
import { z } from 'zod';

export interface WordModel {
  /** Ids of one word, which the pre-tokenizer has cut from the text. */
  encode(word: string): readonly number[];
}

/** The vocabulary of a model, both ways. */
export interface Vocabulary {
  readonly idOf: ReadonlyMap<string, number>;
  /** By id. */
  readonly tokens: readonly string[];
}

export function vocabularyOf(entries: Iterable<readonly [string, number]>): Vocabulary {
  const idOf = new Map<string, number>();
  const tokens: string[] = [];
  for (const [token, id] of entries) {
    idOf.set(token, id);
    tokens[id] = token;
  }
  return { idOf, tokens };
}

/** Tokens with their ids, as they stand in a file. Only looked at from outside: a check of every entry takes as long as opening them. */
export const vocabularyField = z.custom<Readonly<Record<string, number>>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'no vocabulary',
);

const encoder = new TextEncoder();

/** Ids of a text's UTF-8 bytes as tokens `<0x41>`; undefined unless the vocabulary has all of them. */
export function byteIdsOf(text: string, idOf: ReadonlyMap<string, number>): number[] | undefined {
  const ids: number[] = [];
  for (const byte of encoder.encode(text)) {
    const id = idOf.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}
