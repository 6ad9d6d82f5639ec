/** Metadata of two small tokenizers, with keys to replace. */
import type { Metadata, MetadataValue } from '../../../../../src/model/checkpoint/gguf/gguf-file.ts';

/** Values by key, without the prefix `tokenizer.ggml.` where the key has no dot. Undefined removes a key. */
export type Keys = Readonly<Record<string, MetadataValue | undefined>>;

const BYTES = ['<|endoftext|>', 'a', 'b', 'ab', '<|im_end|>'];
const PIECES = ['<unk>', '<s>', '</s>', '<0x41>', 'a', 'b', 'ab', 'x'];

const metadataOf = (keys: Keys): Metadata =>
  new Map(
    Object.entries(keys).flatMap(([key, value]) =>
      value === undefined ? [] : [[key.includes('.') ? key : `tokenizer.ggml.${key}`, value] as const],
    ),
  );

/** Five tokens: an end, `a`, `b`, `ab`, and the end of a turn. */
export const byteLevel = (keys: Keys = {}): Metadata =>
  metadataOf({
    model: 'gpt2',
    pre: 'gpt-2',
    tokens: BYTES,
    token_type: Int32Array.of(3, 1, 1, 1, 3),
    merges: ['a b'],
    eos_token_id: 0,
    ...keys,
  });

/** Eight tokens: three special ones, a byte, `a`, `b`, `ab`, `x`. */
export const sentencePiece = (keys: Keys = {}): Metadata =>
  metadataOf({
    model: 'llama',
    tokens: PIECES,
    token_type: Int32Array.of(2, 3, 3, 6, 1, 1, 1, 1),
    scores: Float32Array.of(0, 0, 0, 0, -3, -2, -1, -4),
    ...keys,
  });
