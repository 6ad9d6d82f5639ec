/**
 * Shows the special tokens that mark parts of an output, such as `<think>` and `<tool_call>`, to the parser
 * of the output. All other special tokens stay hidden. Pure: calls only the given tokenizer.
 */
import type { Decoder } from './detokenizer.ts';

/** The part of a tokenizer that a marked decoder uses. */
export interface MarkedTokenizer extends Decoder {
  /** Text of consecutive ids, with the special tokens of the set. */
  decode(ids: readonly number[], marked?: ReadonlySet<number>): string;
  /** The special tokens: id → text. */
  readonly specialTokens: ReadonlyMap<number, string>;
}

const decoders = new WeakMap<MarkedTokenizer, WeakMap<readonly string[], Decoder>>();

/**
 * A decoder that shows exactly the special tokens whose text is a marker or a part of one. The text of ids is
 * that of one decoding with these tokens in it: a space behind a marker stays, because only the first space
 * of the whole text is stripped. Without such tokens, the tokenizer itself.
 * @param markers the same list for all requests of a model: the decoder is remembered by the list
 */
export function markedDecoder(tokenizer: MarkedTokenizer, markers: readonly string[]): Decoder {
  if (markers.length === 0) return tokenizer;
  const known = decoders.get(tokenizer) ?? new WeakMap<readonly string[], Decoder>();
  const found = known.get(markers);
  if (found) return found;
  const ids = Object.values(markedIds(tokenizer, markers));
  const decoder = ids.length === 0 ? tokenizer : new MarkedDecoder(tokenizer, new Set(ids));
  known.set(markers, decoder);
  decoders.set(tokenizer, known);
  return decoder;
}

/** The special tokens that a decoder with these markers shows: text → id. */
export function markedIds(
  { specialTokens }: Pick<MarkedTokenizer, 'specialTokens'>,
  markers: readonly string[],
): Record<string, number> {
  const shown = [...specialTokens].filter(([, text]) => isPart(text, markers));
  return Object.fromEntries(shown.map(([id, text]) => [text, id]));
}

const isPart = (text: string, markers: readonly string[]): boolean =>
  text !== '' && markers.some((marker) => marker.includes(text));

class MarkedDecoder implements Decoder {
  readonly #tokenizer: MarkedTokenizer;
  readonly #marked: ReadonlySet<number>;

  constructor(tokenizer: MarkedTokenizer, marked: ReadonlySet<number>) {
    this.#tokenizer = tokenizer;
    this.#marked = marked;
  }

  decode(ids: readonly number[]): string {
    return this.#tokenizer.decode(ids, this.#marked);
  }

  isVisible(id: number): boolean {
    return this.#marked.has(id) || this.#tokenizer.isVisible(id);
  }
}
