/**
 * What every model of a tokenizer has: tokens with their ids, and a way from a word to ids. Touches nothing.
 */
export interface WordModel {
  /** Ids of one word, which the pre-tokenizer has cut from the text. */
  encode(word: string): readonly number[];
}

/** The vocabulary of a model, both ways. */
export interface Vocabulary {
  readonly idOf: ReadonlyMap<string, number>;
  readonly tokenOf: ReadonlyMap<number, string>;
}

export function vocabularyOf(entries: Iterable<readonly [string, number]>): Vocabulary {
  const idOf = new Map<string, number>(entries);
  return { idOf, tokenOf: new Map(Array.from(idOf, ([token, id]) => [id, token])) };
}

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
