/** A decoder with random matrices of integers in blocks, and the same decoder with its weights as floats. */
import { FLOAT32, UINT8 } from '../../src/onnx/types.ts';
import {
  type DecoderSpec,
  type GraphMatrix,
  hasExperts,
  type LinearSpec,
  type QuantizedMatrix,
  type TensorPlace,
} from '../../src/protocol/decoder/decoder-spec.ts';
import { type Properties, randomDecoder } from './random-decoder.ts';

export interface Form {
  readonly bits: 4 | 8;
  readonly blockSize: 16 | 32 | 64 | 128 | 256;
  readonly hasZeroPoints?: boolean;
  readonly hasMinimums?: boolean;
}

/** One decoder in two forms, each with its own file. */
export interface QuantizedDecoder {
  readonly quantized: DecoderSpec<GraphMatrix>;
  readonly file: Uint8Array;
  /** The same weights as floats. */
  readonly plain: DecoderSpec<TensorPlace>;
  readonly plainFile: Uint8Array;
}

/** The form of each matrix by its name: `embedding`, `head`, `q`, … undefined: floats. */
export type FormOf = (name: string) => Form | undefined;

/**
 * Replaces the weights of a random decoder. Queries, keys and values are neighbours in the file, unless
 * `isApart` is true.
 */
export function quantizedDecoder(properties: Properties, formOf: FormOf, isApart = false): QuantizedDecoder {
  const { spec: plain, file: plainFile } = randomDecoder(properties);
  const maker = new Maker(plainFile);
  const one = ({ weight, ...rest }: LinearSpec<TensorPlace>, name: string): LinearSpec<GraphMatrix> => ({
    ...rest,
    weight: maker.matrices([weight], formOf(name))[0] ?? weight,
  });
  const embedding = maker.matrices([plain.embedding], formOf('embedding'))[0] ?? plain.embedding;
  const isTied = plain.head.weight === plain.embedding;
  const layers = plain.layers.map(({ attention, mlp, ...layer }) => {
    if (hasExperts(mlp)) throw new Error('no experts');
    const { q, k, v, output } = attention;
    const isJoined = !isApart && formOf('q') === formOf('k') && formOf('k') === formOf('v');
    const joined = isJoined ? maker.matrices([q.weight, k.weight, v.weight], formOf('q')) : [];
    const part = (linear: LinearSpec<TensorPlace>, name: string, index: number): LinearSpec<GraphMatrix> =>
      joined[index] ? { ...linear, weight: joined[index] } : one(linear, name);
    return {
      ...layer,
      attention: {
        ...attention,
        ...{ q: part(q, 'q', 0), k: part(k, 'k', 1), v: part(v, 'v', 2) },
        output: one(output, 'output'),
      },
      mlp: { ...mlp, gate: one(mlp.gate, 'gate'), up: one(mlp.up, 'up'), down: one(mlp.down, 'down') },
    };
  });
  const head = isTied ? { weight: embedding } : one(plain.head, 'head');
  const quantized: DecoderSpec<GraphMatrix> = { ...plain, embedding, layers, head };
  return { quantized, file: maker.bytes(), plain, plainFile };
}

/** Appends matrices of random integers to the bytes of a decoder, and writes their weights into it as floats. */
class Maker {
  readonly #plain: Uint8Array;
  readonly #parts: Uint8Array[];
  #offset: number;
  #state = 1;

  constructor(plain: Uint8Array) {
    this.#plain = plain;
    this.#parts = [Uint8Array.from(plain)];
    this.#offset = plain.length;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.#parts));
  }

  /** The matrices as neighbours: the values of all, then the scales of all, zero points, minimums. */
  matrices(places: readonly TensorPlace[], form: Form | undefined): GraphMatrix[] {
    if (!form) return [...places];
    const made = places.map((place) => this.#integers(place, form));
    const add = <T>(part: (one: Integers) => T, write: (one: T) => Uint8Array, type: number): TensorPlace[] =>
      made.map((one, index) => {
        const bytes = write(part(one));
        const [rows = 0, columns = 0] = places[index]?.shape ?? [];
        const blocks = columns / form.blockSize;
        const shape = part(one) === one.values ? [rows, blocks, (form.blockSize * form.bits) / 8] : [rows, blocks];
        const place = { file: 0, offset: this.#offset, bytes: bytes.length, type, shape };
        this.#parts.push(bytes);
        this.#offset += bytes.length;
        return place;
      });
    const floatBytes = (floats: Float32Array): Uint8Array => new Uint8Array(floats.buffer);
    const values = add(
      (one) => one.values,
      (bytes) => bytes,
      UINT8,
    );
    const scales = add((one) => one.scales, floatBytes, FLOAT32);
    const zeroPoints = form.hasZeroPoints
      ? add(
          (one) => one.zeroPoints,
          (bytes) => bytes,
          UINT8,
        )
      : [];
    const minimums = form.hasMinimums ? add((one) => one.minimums, floatBytes, FLOAT32) : [];
    return places.map(({ shape }, index) => ({
      ...{ shape, bits: form.bits, blockSize: form.blockSize },
      ...{ values: required(values[index]), scales: required(scales[index]) },
      ...(form.hasZeroPoints && { zeroPoints: required(zeroPoints[index]) }),
      ...(form.hasMinimums && { minimums: required(minimums[index]) }),
    })) satisfies QuantizedMatrix[];
  }

  /** Random integers, scales, zero points and minimums. Their weights are written to the place of the floats. */
  #integers({ offset, shape }: TensorPlace, { bits, blockSize, hasZeroPoints, hasMinimums }: Form): Integers {
    const [rows = 0, columns = 0] = shape;
    const blocks = (rows * columns) / blockSize;
    const values = new Uint8Array((rows * columns * bits) / 8);
    const [scales, minimums] = [new Float32Array(blocks), new Float32Array(blocks)];
    const zeroPoints = new Uint8Array(blocks);
    const plain = new DataView(this.#plain.buffer, this.#plain.byteOffset + offset);
    for (let block = 0; block < blocks; block++) {
      const scale = (1 + this.#random(16)) / (16 * 2 ** bits);
      const zero = hasZeroPoints ? 96 + this.#random(64) : 2 ** (bits - 1);
      const minimum = hasMinimums ? (this.#random(64) - 32) / 256 : 0;
      [scales[block], zeroPoints[block], minimums[block]] = [scale, zero, minimum];
      for (let i = 0; i < blockSize; i++) {
        const at = block * blockSize + i;
        const value = this.#random(2 ** bits);
        const byte = (at * bits) >> 3;
        values[byte] = (values[byte] ?? 0) | (value << ((at * bits) % 8));
        plain.setFloat32(4 * at, scale * (value - zero) - minimum, true);
      }
    }
    return { values, scales, zeroPoints, minimums };
  }

  /** A random integer from 0 to `below` - 1. */
  #random(below: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * below);
  }
}

interface Integers {
  readonly values: Uint8Array;
  readonly scales: Float32Array;
  readonly zeroPoints: Uint8Array;
  readonly minimums: Float32Array;
}

function required(place: TensorPlace | undefined): TensorPlace {
  if (!place) throw new Error('no place');
  return place;
}
