/** A decoder with random weights in one file: each property of it is a choice of the test. */
import { BFLOAT16, FLOAT16, FLOAT32 } from '../../src/onnx/types.ts';
import type {
  AttentionSpec,
  DecoderSpec,
  ExpertsSpec,
  LayerSpec,
  NormSpec,
  TensorPlace,
} from '../../src/protocol/decoder/decoder-spec.ts';

export interface Properties {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** Pairs of the rotary embedding; 0 = no positions. */
  readonly pairs: number;
  readonly magnitude?: number;
  /** Neighbours are the pairs of the rotary embedding. */
  readonly isInterleaved?: boolean;
  readonly window?: number;
  readonly softcap?: number;
  readonly normOver?: 'head' | 'width';
  /** The matrices that have a bias. */
  readonly biases?: readonly string[];
  /** Norms in front of the blocks, behind them, or both. */
  readonly norms?: 'before' | 'behind' | 'around';
  /** Element types of the tensors, in turn. */
  readonly types?: readonly number[];
  readonly residualScale?: number;
  readonly logitScale?: number;
  readonly logitSoftcap?: number;
  readonly isTied?: boolean;
  /** Each head has a score without a value. */
  readonly hasSinks?: boolean;
  /** Experts in place of the MLP of the second layer. */
  readonly experts?: ExpertProperties;
  /** Bits of an element besides its exponent; default: 6. */
  readonly bits?: 4 | 6;
  readonly hidden?: number;
  readonly inner?: number;
}

export interface ExpertProperties extends Pick<ExpertsSpec, 'chosen' | 'softmaxOver' | 'normalizes' | 'activation'> {
  readonly count: number;
  readonly inner: number;
}

export const VOCABULARY = 50;
const [HIDDEN, INNER] = [24, 40];
const BYTES: Readonly<Record<number, number>> = { [FLOAT32]: 4, [FLOAT16]: 2, [BFLOAT16]: 2 };

/** Two layers. The same properties give the same bytes. */
export function randomDecoder(properties: Properties): {
  readonly spec: DecoderSpec<TensorPlace>;
  readonly file: Uint8Array;
} {
  const maker = new Maker(properties.types ?? [FLOAT32], properties.bits);
  const { pairs, magnitude = 1, isInterleaved = false, logitScale = 1, logitSoftcap, isTied = true } = properties;
  const { experts, ...plain } = properties;
  const { hidden = HIDDEN } = plain;
  const frequencies = Array.from({ length: pairs }, (_, i) => 2 ** -i);
  const rotary = { frequencies, magnitude, ...(isInterleaved && { interleaved: true as const }) };
  const embedding = maker.place([VOCABULARY, hidden]);
  const layers = [layerOf(maker, plain), layerOf(maker, properties)];
  const finalNorm = maker.norm(hidden);
  const spec: DecoderSpec<TensorPlace> = {
    ...{ vocabSize: VOCABULARY, hiddenSize: hidden, embedding, embeddingScale: 3, layers, finalNorm, logitScale },
    rotaries: pairs === 0 ? [] : [rotary],
    head: isTied ? { weight: embedding } : { weight: maker.place([VOCABULARY, hidden]) },
    ...(logitSoftcap !== undefined && { logitSoftcap }),
  };
  return { spec, file: maker.bytes() };
}

function layerOf(maker: Maker, properties: Properties): LayerSpec<TensorPlace> {
  const { norms = 'before', residualScale = 1, biases = [], hidden = HIDDEN, inner = INNER, experts } = properties;
  const linear = (name: string, out: number, input: number) => ({
    weight: maker.place([out, input]),
    ...(biases.includes(name) && { bias: maker.place([out]) }),
  });
  const [before, behind] = [norms !== 'behind', norms !== 'before'];
  return {
    attention: attentionOf(maker, properties, linear),
    mlp: experts
      ? expertsOf(experts, hidden, linear)
      : {
          ...{ gate: linear('gate', inner, hidden), up: linear('up', inner, hidden) },
          ...{ down: linear('down', hidden, inner), activation: before ? 'silu' : 'gelu_tanh' },
        },
    ...(before && { attentionInNorm: maker.norm(hidden), mlpInNorm: maker.norm(hidden) }),
    ...(behind && { attentionOutNorm: maker.norm(hidden), mlpOutNorm: maker.norm(hidden) }),
    residualScale,
  };
}

type MakeLinear = (name: string, out: number, input: number) => AttentionSpec<TensorPlace>['q'];

function expertsOf({ count, inner, ...spec }: ExpertProperties, hidden: number, linear: MakeLinear) {
  return {
    ...spec,
    router: linear('router', count, hidden),
    experts: Array.from({ length: count }, () => ({
      gate: linear('gate', inner, hidden),
      up: linear('up', inner, hidden),
      down: linear('down', hidden, inner),
    })),
  };
}

function attentionOf(
  maker: Maker,
  { heads, kvHeads, headSize, pairs, window, softcap, normOver, hasSinks, hidden = HIDDEN }: Properties,
  linear: MakeLinear,
): AttentionSpec<TensorPlace> {
  const norm = (count: number): NormSpec => maker.norm(normOver === 'width' ? count * headSize : headSize);
  return {
    q: linear('q', heads * headSize, hidden),
    k: linear('k', kvHeads * headSize, hidden),
    v: linear('v', kvHeads * headSize, hidden),
    output: linear('output', hidden, heads * headSize),
    ...{ heads, kvHeads, headSize, scale: 0.9 * headSize ** -0.5 },
    ...(pairs > 0 && { rotary: 0 }),
    ...(window !== undefined && { window }),
    ...(softcap !== undefined && { softcap }),
    ...(hasSinks && { sinks: maker.place([heads]) }),
    ...(normOver && { normOver, qNorm: norm(heads), kNorm: norm(kvHeads) }),
  };
}

/** Places of tensors and their bytes. The elements are exact in all three types. */
class Maker {
  readonly #types: readonly number[];
  readonly #bits: number;
  readonly #parts: Uint8Array[] = [];
  #offset = 0;
  #state = 1;

  constructor(types: readonly number[], bits = 6) {
    this.#types = types;
    this.#bits = bits;
  }

  place(shape: readonly number[]): TensorPlace {
    const type = this.#types[this.#parts.length % this.#types.length] ?? FLOAT32;
    const count = shape.reduce((product, size) => product * size, 1);
    const data = new DataView(new ArrayBuffer(count * (BYTES[type] ?? 0)));
    for (let i = 0; i < count; i++) this.#write(data, i, type);
    const place = { file: 0, offset: this.#offset, bytes: data.byteLength, type, shape };
    this.#parts.push(new Uint8Array(data.buffer));
    this.#offset += data.byteLength;
    return place;
  }

  norm(size: number): NormSpec {
    return { weight: this.place([size]), epsilon: 1e-5, offset: 1 };
  }

  bytes(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.#parts));
  }

  /** With 6 bits: a multiple of 1/64 from -0.5 to 0.484375. */
  #write(data: DataView, index: number, type: number): void {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    const value = (this.#state >>> (32 - this.#bits)) / 2 ** this.#bits - 0.5;
    if (type === FLOAT32) data.setFloat32(4 * index, value, true);
    else if (type === BFLOAT16) data.setUint16(2 * index, bitsOf(value) >>> 16, true);
    else data.setUint16(2 * index, halfBitsOf(value), true);
  }
}

const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;

/** Of zero, or of a value that a float16 has exactly as a normal number. */
function halfBitsOf(value: number): number {
  if (value === 0) return 0;
  const bits = bitsOf(value);
  return ((bits >>> 16) & 0x8000) | ((((bits >>> 23) & 0xff) - 112) << 10) | ((bits >>> 13) & 0x3ff);
}
