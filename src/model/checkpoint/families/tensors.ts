/**
 * Takes the tensors of a decoder out of a checkpoint by name, with a check of shape and element type.
 * Remembers the taken names, so that a tensor which the decoder does not use cannot be ignored silently.
 * Pure.
 */
import { BFLOAT16, ELEMENT_BITS, ELEMENT_TYPES, FLOAT16, FLOAT32, UINT8 } from '../../../onnx/types.ts';
import { blockBytes } from '../../../protocol/decoder/block-formats.ts';
import {
  isPlain,
  type LinearSpec,
  type StoredMatrix,
  type TensorPlace,
} from '../../../protocol/decoder/decoder-spec.ts';
import { type Problems, quoted, shown } from './unsupported.ts';

const FLOATS: readonly number[] = [FLOAT32, FLOAT16, BFLOAT16];
const FLOAT_NAMES = FLOATS.map((type) => ELEMENT_TYPES[type]).join(', ');
/** Stands for a tensor that cannot be used, until the problems are thrown. */
const NOTHING: TensorPlace = { file: 0, offset: 0, bytes: 0, type: FLOAT32, shape: [] };
/**
 * Frequencies of the rotary embedding, which old versions of transformers stored. The graph computes its
 * own.
 */
const LEFTOVER = /(?:^|\.)rotary_emb\.inv_freq$/;

/** Names of the parts of a model. */
export interface TensorNames {
  /** Prefix of the decoder, with a dot behind it. */
  readonly body: string;
  /** Name of the projection to the vocabulary, without `.weight`. */
  readonly head: string;
  /** Prefixes of parts that do not compute text. */
  readonly others?: readonly string[];
}

export class CheckpointTensors {
  readonly problems: Problems;
  readonly #tensors: ReadonlyMap<string, StoredMatrix>;
  readonly #taken = new Set<string>();

  constructor(tensors: ReadonlyMap<string, StoredMatrix>, problems: Problems) {
    this.#tensors = tensors;
    this.problems = problems;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /**
   * The place of a tensor without blocks: a norm or a bias. Reports a tensor that is absent or has another
   * shape or type.
   */
  take(name: string, shape: readonly number[]): TensorPlace {
    const tensor = this.matrix(name, shape);
    if (isPlain(tensor)) return tensor;
    this.problems.tensor(`has the tensor ${this.#named(name)} in the format ${tensor.format}; allowed: ${FLOAT_NAMES}`);
    return NOTHING;
  }

  /** The place of a matrix, also of one in blocks. Reports as `take` does. */
  matrix(name: string, shape: readonly number[]): StoredMatrix {
    return this.#found(name, shape, FLOATS);
  }

  /** The place of a tensor of bytes: a part of MXFP4. Reports as `take` does. */
  bytes(name: string, shape: readonly number[]): TensorPlace {
    const tensor = this.#found(name, shape, [UINT8]);
    return isPlain(tensor) ? tensor : NOTHING;
  }

  #found(name: string, shape: readonly number[], types: readonly number[]): StoredMatrix {
    this.#taken.add(name);
    const { file } = this.problems.origin;
    const place = this.#tensors.get(name);
    if (place === undefined) {
      this.problems.tensor(
        `lacks the tensor ${this.#named(name)} of the shape ${shown(shape)}, which ${file} needs`,
        'Download all files of the model again, or use an ONNX export',
      );
      return NOTHING;
    }
    if (shown(place.shape) !== shown(shape))
      this.problems.tensor(
        `has the tensor ${this.#named(name)} with the shape ${shown(place.shape)}; allowed by ${file}: ${shown(shape)}`,
      );
    if (isPlain(place) && !types.includes(place.type))
      this.problems.tensor(
        `has the tensor ${this.#named(name)} of the type ${ELEMENT_TYPES[place.type] ?? 'unknown to ONNX'}; ` +
          `allowed: ${types.map((type) => ELEMENT_TYPES[type]).join(', ')}`,
      );
    return place;
  }

  /** A matrix `[out, in]` named `<name>.weight` and, if needed, its bias `<name>.bias`. */
  linear(name: string, [out, input]: readonly [number, number], hasBias = false): LinearSpec {
    const weight = this.matrix(`${name}.weight`, [out, input]);
    return hasBias ? { weight, bias: this.take(`${name}.bias`, [out]) } : { weight };
  }

  /** Reports the tensors that nobody has taken. Parts under the prefixes `others` compute no text. */
  refuseOthers(modelType: string, others: readonly string[] = []): void {
    for (const name of this.#tensors.keys()) {
      if (this.#taken.has(name) || LEFTOVER.test(name)) continue;
      if (others.some((prefix) => name.startsWith(prefix))) continue;
      this.problems.tensor(
        `has the unknown tensor ${this.#named(name)}; ` +
          `allowed: the tensors of the model type ${modelType} in ${this.problems.origin.file}`,
      );
    }
  }

  /** The name of a tensor in its file, in quotation marks. */
  #named(name: string): string {
    return quoted(this.problems.origin.tensorName(name));
  }
}

/** Consecutive rows of a matrix `[out, in]`: a range of its bytes. */
export function rowsOf<M extends StoredMatrix>(place: M, first: number, count: number): M {
  const input = place.shape[1] ?? 0;
  const rowBytes = isPlain(place) ? (input * (ELEMENT_BITS[place.type] ?? 0)) / 8 : blockBytes(place.format, input);
  return { ...place, offset: place.offset + first * rowBytes, bytes: count * rowBytes, shape: [count, input] };
}
