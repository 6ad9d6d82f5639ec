/**
 * Packs the experts of a decoder as the operator QMoE reads them, for weights that are exact with the given
 * number of bits: a whole number of a power of 2 in each block. Weights that are not exact are an error.
 */
import { widen } from '../../src/onnx/half-float.ts';
import { FLOAT32, UINT8 } from '../../src/onnx/types.ts';
import {
  type DecoderSpec,
  type ExpertSpec,
  type GraphMatrix,
  hasExperts,
  isJoined,
  isPacked,
  isPlain,
  type LinearSpec,
  type PackedExperts,
  type QuantizedMatrix,
  type TensorPlace,
} from '../../src/protocol/decoder/decoder-spec.ts';

export interface Packing {
  readonly bits: 4 | 8;
  readonly blockSize: number;
  /** With zero points for each block; 8 bits only. */
  readonly zeroPoints?: boolean;
}

/** The decoder with packed experts, and its file with the packed weights at the end. */
export function packExperts(
  spec: DecoderSpec,
  file: Uint8Array,
  packing: Packing,
): { readonly spec: DecoderSpec<GraphMatrix>; readonly file: Uint8Array } {
  const packer = new Packer(file, packing);
  const layers = spec.layers.map((layer) => {
    const { mlp } = layer;
    if (!hasExperts(mlp) || isPacked(mlp.experts) || isJoined(mlp.experts)) return layer;
    return { ...layer, mlp: { ...mlp, experts: packer.experts(mlp.experts) } };
  });
  return { spec: { ...spec, layers } as DecoderSpec<GraphMatrix>, file: packer.bytes() };
}

type Row = Float32Array;

class Packer {
  readonly #file: Uint8Array;
  readonly #packing: Packing;
  readonly #parts: Uint8Array[] = [];
  #end = 0;

  constructor(file: Uint8Array, packing: Packing) {
    this.#file = file;
    this.#packing = packing;
    this.#parts.push(file, new Uint8Array(-file.length & 63));
    this.#end = file.length + (-file.length & 63);
  }

  bytes(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.#parts));
  }

  experts(experts: readonly ExpertSpec[]): PackedExperts {
    const turns = <T>(gate: readonly T[], up: readonly T[]): T[] => gate.flatMap((one, i) => [one, up[i] as T]);
    const gateUp = experts.flatMap(({ gate, up }) => turns(this.#rows(gate), this.#rows(up)));
    const down = experts.flatMap(({ down: linear }) => this.#rows(linear));
    const biases = (part: keyof ExpertSpec): TensorPlace[] => experts.flatMap((expert) => expert[part].bias ?? []);
    return {
      count: experts.length,
      gateUp: this.#quantized(gateUp),
      down: this.#quantized(down),
      ...(experts[0]?.gate.bias && { biases: { gate: biases('gate'), up: biases('up'), down: biases('down') } }),
    };
  }

  #values(place: TensorPlace): Float32Array {
    const data = this.#file.slice(place.offset, place.offset + place.bytes).buffer;
    const count = place.shape.reduce((product, size) => product * size, 1);
    if (place.type === FLOAT32) return new Float32Array(data);
    const values = new Float32Array(count);
    widen(place.type, new Uint16Array(data), values, { start: 0, end: count });
    return values;
  }

  #rows({ weight }: LinearSpec): Row[] {
    if (!isPlain(weight)) throw new Error('blocks');
    const [rows = 0, columns = 0] = weight.shape;
    const values = this.#values(weight);
    return Array.from({ length: rows }, (_, row) => values.subarray(row * columns, (row + 1) * columns));
  }

  #quantized(rows: readonly Row[]): QuantizedMatrix {
    const { bits, blockSize, zeroPoints } = this.#packing;
    const columns = rows[0]?.length ?? 0;
    const count = rows.length * (columns / blockSize);
    const values = new Uint8Array((rows.length * columns * bits) / 8);
    const [scales, zeros] = [new Float32Array(count), new Uint8Array(count)];
    for (let block = 0; block < count; block++) {
      const [row, first] = [Math.floor((block * blockSize) / columns), (block * blockSize) % columns];
      const weights = rows[row]?.subarray(first, first + blockSize) ?? new Float32Array();
      const scale = scaleOf(weights, bits);
      scales[block] = scale;
      // A zero point of each block: another one for the same weights.
      const least = Math.min(...weights) / scale;
      const zero = zeroPoints ? -least : 2 ** (bits - 1);
      zeros[block] = zero;
      for (const [i, weight] of weights.entries()) {
        const value = weight / scale + zero;
        const at = block * blockSize + i;
        if (bits === 8) values[at] = value;
        else values[at >> 1] = (values[at >> 1] ?? 0) | (value << (4 * (at & 1)));
      }
    }
    const shape = [rows.length, columns / blockSize];
    return {
      shape: [rows.length, columns],
      bits,
      blockSize,
      values: this.#place(values, UINT8, [...shape, (blockSize * bits) / 8]),
      scales: this.#place(new Uint8Array(scales.buffer), FLOAT32, shape),
      ...(zeroPoints && { zeroPoints: this.#place(zeros, UINT8, shape) }),
    };
  }

  #place(data: Uint8Array, type: number, shape: readonly number[]): TensorPlace {
    const place = { file: 0, offset: this.#end, bytes: data.length, type, shape };
    const padding = new Uint8Array(-data.length & 63);
    this.#parts.push(data, padding);
    this.#end += data.length + padding.length;
    return place;
  }
}

/** The largest power of 2 of which all weights are whole numbers. */
function scaleOf(weights: Row, bits: number): number {
  const most = 2 ** (bits - 1);
  for (let scale = 2; scale > 2 ** -40; scale /= 2) {
    const isWhole = weights.every((weight) => Number.isInteger(weight / scale));
    if (isWhole && weights.every((weight) => weight / scale >= -most && weight / scale < most)) return scale;
    if (isWhole) break;
  }
  throw new Error(`${weights.join()} is not exact with ${bits} bits`);
}
