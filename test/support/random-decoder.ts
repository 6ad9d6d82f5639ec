/** The weights of a decoder as random numbers in a file, with its description: for tests on several devices. */
import { writeFileSync } from 'node:fs';
import { BFLOAT16, FLOAT16, FLOAT32 } from '../../src/onnx/types.ts';
import type { DecoderSpec, LayerSpec, NormSpec, TensorPlace } from '../../src/protocol/decoder/decoder-spec.ts';
import type { DeviceName } from '../../src/protocol/devices.ts';
import type { Candidate } from '../../src/protocol/loading.ts';

const VOCABULARY = 200;

export interface RandomShape {
  readonly type?: number;
  readonly hidden?: number;
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly headSize?: number;
  /** Pairs of elements that rotate; default: half of a head. */
  readonly pairs?: number;
  /** Exceptions of each layer; the number of layers. */
  readonly layers?: readonly Pick<LayerSpec['attention'], 'window' | 'softcap'>[];
  readonly tied?: boolean;
  /** Replaces the elements of the embedding of id 0; only float32. */
  readonly firstEmbedding?: number;
  /** Norms of queries and keys: of each head, or of all heads together. */
  readonly normOver?: 'head' | 'width';
  /** As in Gemma 2: norms behind the blocks, GELU, factors of the embeddings and a cap of the logits. */
  readonly gemma?: boolean;
}

/** Writes the weights to `file`. */
export function writeRandomDecoder(file: string, shape: RandomShape = {}): (device: DeviceName) => Candidate {
  const { type = FLOAT32, hidden = 64, heads = 4, kvHeads = 2, headSize = 16, gemma = false } = shape;
  const { pairs = headSize / 2, layers = [{}, {}], tied = true, normOver } = shape;
  const random = generator(headSize * 31 + heads * 7 + type);
  const parts: Uint8Array[] = [];
  let offset = 0;
  const place = (deviation: number, mean: number, ...dimensions: readonly number[]): TensorPlace => {
    const count = dimensions.reduce((product, size) => product * size, 1);
    const data = encoded(
      type,
      Array.from({ length: count }, () => mean + deviation * random()),
    );
    const found = { file: 0, offset, bytes: data.length, type, shape: dimensions };
    parts.push(data);
    offset += data.length;
    return found;
  };
  // Products of queries and keys are far from equal: a wrong position, window or cap changes the ids.
  const linear = (out: number, into: number, gain = 1) => ({ weight: place(gain * Math.sqrt(3 / into), 0, out, into) });
  const norm = (size = hidden): NormSpec => ({
    weight: place(0.2, gemma ? 0 : 1, size),
    ...{ epsilon: 1e-5, offset: gemma ? 1 : 0 },
  });
  const normOf = (count: number): NormSpec => norm(normOver === 'width' ? count * headSize : headSize);
  const layer = (special: object): LayerSpec => ({
    attention: {
      q: linear(heads * headSize, hidden, 2),
      k: linear(kvHeads * headSize, hidden, 2),
      v: linear(kvHeads * headSize, hidden),
      output: linear(hidden, heads * headSize),
      ...{ heads, kvHeads, headSize, scale: headSize ** -0.5, rotary: 0, ...special },
      ...(normOver && { normOver, qNorm: normOf(heads), kNorm: normOf(kvHeads) }),
    },
    mlp: {
      ...{ gate: linear(96, hidden), up: linear(96, hidden), down: linear(hidden, 96) },
      activation: gemma ? 'gelu_tanh' : 'silu',
    },
    ...{ attentionInNorm: norm(), mlpInNorm: norm(), residualScale: 1 },
    ...(gemma && { attentionOutNorm: norm(), mlpOutNorm: norm() }),
  });
  const embedding = place(1, 0, VOCABULARY, hidden);
  const decoder: DecoderSpec = {
    ...{ vocabSize: VOCABULARY, hiddenSize: hidden, embedding, logitScale: 1 },
    embeddingScale: gemma ? Math.sqrt(hidden) : 1,
    rotaries: [{ frequencies: Array.from({ length: pairs }, (_, pair) => 100 ** (-pair / pairs)), magnitude: 1 }],
    layers: layers.map(layer),
    finalNorm: norm(),
    head: tied ? { weight: embedding } : linear(VOCABULARY, hidden),
    ...(gemma && { logitSoftcap: 30 }),
  };
  const { firstEmbedding } = shape;
  const bytes = Buffer.concat(parts);
  if (firstEmbedding !== undefined)
    for (let index = 0; index < hidden; index++) bytes.writeFloatLE(firstEmbedding, embedding.offset + 4 * index);
  writeFileSync(file, bytes);
  return (device) => ({ device, modelFile: file, weightFiles: [file], decoder });
}

/** Numbers between -1 and 1 (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

function encoded(type: number, values: readonly number[]): Uint8Array {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  if (type === FLOAT32) return new Uint8Array(bits.buffer);
  const half = type === BFLOAT16 ? (word: number) => word >>> 16 : halfOf;
  if (type !== BFLOAT16 && type !== FLOAT16) throw new RangeError(`Unknown element type ${type}`);
  return new Uint8Array(Uint16Array.from(bits, half).buffer);
}

/** The bits of a float16, cut off, of a float32 between 2⁻¹⁴ and 2¹⁶; 0 for smaller numbers. */
function halfOf(word: number): number {
  const exponent = ((word >>> 23) & 0xff) - 112;
  return exponent <= 0 ? 0 : ((word >>> 16) & 0x8000) | (exponent << 10) | ((word >>> 13) & 0x3ff);
}
