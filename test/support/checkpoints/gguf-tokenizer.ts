/**
 * The metadata of a tokenizer as llama.cpp's converter writes them from the files of a model: texts and types
 * of tokens, scores or merges, ids.
 */
import type { Metadata, MetadataValue } from '../../../src/model/checkpoint/gguf/gguf-file.ts';

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}
/** The parts of a tokenizer.json that a converter reads. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
  };
}

/** The name of the rule of a byte-level model, or the architecture of a SentencePiece model. */
export type Kind = { readonly pre: string } | { readonly architecture: string };

/** The metadata of a tokenizer.json. `more` adds keys, for example ids. */
export function ggufMetadata(
  { added_tokens, model }: TokenizerJson,
  kind: Kind,
  more: Readonly<Record<string, MetadataValue>> = {},
): Metadata {
  const added = new Map(added_tokens.map((token) => [token.id, token]));
  const texts: string[] = [];
  for (const [text, id] of Object.entries(model.vocab)) texts[id] = text;
  for (const { id, content } of added_tokens) texts[id] = content;
  const isBytes = 'pre' in kind;
  const types = new Int32Array(texts.length).fill(1);
  const tokens = Array.from(texts, (text: string | undefined, id) => {
    const token = added.get(id);
    if (text === undefined) types[id] = 5;
    else if (token && (token.special || looksSpecial(text))) types[id] = 3;
    else if (token) types[id] = 4;
    else if (!isBytes && /^<0x[0-9A-F]{2}>$/.test(text)) types[id] = 6;
    if (text === undefined) return `[PAD${id}]`;
    return types[id] === 4 ? text.replaceAll('▁', ' ') : text;
  });
  return new Map<string, MetadataValue>([
    ['general.architecture', isBytes ? 'llama' : kind.architecture],
    ['tokenizer.ggml.model', isBytes ? 'gpt2' : 'llama'],
    ['tokenizer.ggml.pre', isBytes ? kind.pre : 'default'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', types],
    isBytes
      ? ['tokenizer.ggml.merges', model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')))]
      : ['tokenizer.ggml.scores', scoresOf(texts, model.merges, added)],
    ...Object.entries(more),
  ]);
}

/** The scores that SentencePiece has given: higher for a token that an earlier merge makes. */
function scoresOf(
  texts: readonly string[],
  merges: TokenizerJson['model']['merges'],
  added: ReadonlyMap<number, AddedToken>,
): Float32Array {
  const ranks = new Map<string, number>();
  for (const merge of merges) {
    const text = typeof merge === 'string' ? merge.replace(' ', '') : merge.join('');
    if (!ranks.has(text)) ranks.set(text, ranks.size);
  }
  return Float32Array.from(texts, (text, id) => (added.has(id) ? -1000 : -(ranks.get(text) ?? ranks.size + id)));
}

/** Texts that the converter takes for control tokens, whatever tokenizer.json states. */
function looksSpecial(text: string): boolean {
  return ['<pad>', '<mask>', '<2mass>', '[@BOS@]'].includes(text) || /^(?:<\|.*\|>|<｜.*｜>|<unused.*>)$/su.test(text);
}
