/** The content of a GGUF model: its metadata, and the places of its tensors. Types only. */
import type { StoredMatrix } from '../../../protocol/decoder/decoder-spec.ts';

/**
 * A value of the metadata. Integers beyond 2^53 are bigint, so that readers of numbers refuse them. An array
 * of booleans has one byte for each.
 */
export type MetadataValue = string | number | bigint | boolean | MetadataArray;
export type MetadataArray =
  | readonly string[]
  | readonly MetadataArray[]
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** The metadata by key, for example `llama.block_count`. */
export type Metadata = ReadonlyMap<string, MetadataValue>;

export interface GgufModel {
  /** The first file, as it was given. */
  readonly modelFile: string;
  /** Absolute paths with links resolved, in the order to which the places refer. */
  readonly files: readonly string[];
  /** The metadata of the first file. */
  readonly metadata: Metadata;
  /** By the names in the file. Shapes are row-major: a matrix is `[out, in]`, a file has them reversed. */
  readonly tensors: ReadonlyMap<string, StoredMatrix>;
  /** Values of the factors of rotary embeddings: `rope_freqs.weight` and `rope_factors_*.weight`. */
  readonly ropeFactors: ReadonlyMap<string, Float32Array>;
  /** Total size of the files. */
  readonly bytes: number;
  /** The kind of the file, in lower case: `q4_k_m`, `q8_0`, `f16`. */
  readonly dtype: string;
}
