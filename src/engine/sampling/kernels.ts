/**
 * The sampler's passes over a row of logits, written in WebAssembly SIMD (kernels.wat), and the memory that
 * they share with JavaScript, allocated once for one vocabulary size. candidates.ts calls the passes.
 */
import { messageOf } from '../../protocol/text/error-message.ts';
import { KERNELS } from './kernels.wasm.ts';

/**
 * Only the members that this file uses: neither TypeScript's es2023 nor @types/node 20 declares WebAssembly.
 */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

/** Number of ids in a group. The passes read the row and sum the weights group by group. */
export const GROUP = 64;
/** A histogram has at most 2^11 buckets: 16 KiB, half of a level-1 data cache. */
export const BUCKET_BITS = 11;

const PAGE = 65_536;
/** Size of the lookup table at address 0, which the module fills. */
const TABLE = 256;
const ALIGNMENT = 64;

/** Ids in ascending order with their logits and weights. The owner stores the number of valid entries. */
export interface List {
  /** The address of the list, for the passes. */
  readonly at: number;
  readonly ids: Int32Array;
  readonly values: Float32Array;
  readonly weights: Float32Array;
}

/**
 * All pointers are `at` of a list, or byte offsets of an array; ids and counts are whole numbers, values are
 * rounded to float32.
 */
interface Passes {
  /**
   * Writes the largest logit of each group to `maxima`. @returns the largest of all; NaN where a logit is NaN
   * or +Infinity.
   */
  argMax(): number;
  /** The logit of each id whose bit in `bits` is 0 becomes -Infinity; then as `argMax`. */
  maskedArgMax(): number;
  /** @returns the lowest id with this logit, which must be among `maxima`. */
  find(value: number): number;
  /**
   * weight = 2^((value − most) · scale), 0 below 2^-92; relative error below 1.3e-7 + 9e-8 per unit of the
   * exponent.
   */
  weigh(values: number, count: number, most: number, scale: number, weights: number): void;
  /**
   * Writes the float64 sum of each group to `sums`; the 64 weights after the last become 0. @returns the
   * total.
   */
  add(weights: number, count: number): number;
  /**
   * Lists the ids of the row with at least this logit; -0 becomes 0. The weights in the list belong to the
   * whole row before the call, and to the listed ids after it. @returns how many.
   */
  gather(least: number, list: number): number;
  /**
   * Keeps the entries above `least`, and the entries equal to `least` up to the id `last`. @returns how many.
   */
  keep(list: number, count: number, least: number, last: number): number;
  /**
   * Writes the largest and the smallest key of a list to `span`. A key is the bits of a float32, changed so
   * that keys compare as integers in the order of the floats.
   */
  measure(list: number, count: number): void;
  /**
   * Adds each weight to the bucket (high − key) >>> shift. Call it right after `measure` of the same list.
   */
  tally(list: number, count: number, high: number, shift: number): void;
  /** Copies the entries of one bucket of `tally` to another list or to the same one. @returns how many. */
  sift(list: number, count: number, high: number, shift: number, bucket: number, to: number): number;
}

export class Kernels {
  readonly passes: Passes;
  /** `[vocab]`: the logits. The owner writes them. */
  readonly row: Float32Array;
  /** The largest logit of each group, after `argMax`. */
  readonly maxima: Float32Array;
  /** The sum of the weights of each group, after `add`. */
  readonly sums: Float64Array;
  readonly span: Int32Array;
  readonly buckets: Float64Array;
  /**
   * One bit for each id of the row, for `maskedArgMax`: bit id & 31 of word id >>> 5. The owner writes them.
   */
  readonly bits: Uint32Array;
  /** Two lists, each with the capacity of the whole vocabulary. */
  readonly candidates: List;
  readonly edge: List;

  /**
   * @param vocabSize at least 1.
   * @throws Error if the memory is not available
   */
  constructor(vocabSize: number) {
    const groups = Math.ceil(vocabSize / GROUP);
    // Passes read and write up to one group past the end.
    const elements = (groups + 1) * GROUP;
    const stride = elements * Float32Array.BYTES_PER_ELEMENT;
    let end = TABLE;
    const take = (bytes: number): number => {
      const at = end;
      end = at + Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      return at;
    };
    const row = take(stride);
    const maxima = take(groups * Float32Array.BYTES_PER_ELEMENT);
    const sums = take((groups + 1) * Float64Array.BYTES_PER_ELEMENT);
    const span = take(2 * Int32Array.BYTES_PER_ELEMENT);
    const buckets = take(2 ** BUCKET_BITS * Float64Array.BYTES_PER_ELEMENT);
    const words = groups * (GROUP / 32);
    const bits = take(words * Uint32Array.BYTES_PER_ELEMENT);
    const lists = [take(3 * stride), take(3 * stride)] as const;
    const pages = Math.ceil(end / PAGE);
    const memory = allocate(pages);
    const { buffer } = memory;
    const listAt = (at: number): List => ({
      at,
      ids: new Int32Array(buffer, at, elements),
      values: new Float32Array(buffer, at + stride, elements),
      weights: new Float32Array(buffer, at + 2 * stride, elements),
    });
    this.row = new Float32Array(buffer, row, vocabSize);
    this.maxima = new Float32Array(buffer, maxima, groups);
    this.sums = new Float64Array(buffer, sums, groups);
    this.span = new Int32Array(buffer, span, 2);
    this.buckets = new Float64Array(buffer, buckets, 2 ** BUCKET_BITS);
    this.bits = new Uint32Array(buffer, bits, words);
    this.candidates = listAt(lists[0]);
    this.edge = listAt(lists[1]);
    new Float32Array(buffer, row, elements).fill(Number.NEGATIVE_INFINITY);
    const layout = { memory, row, maxima, sums, span, buckets, bits, stride, groups };
    const module = new WebAssembly.Module(Buffer.from(KERNELS, 'base64'));
    this.passes = new WebAssembly.Instance(module, { layout }).exports as Passes;
  }
}

/** @throws Error with the way out if the system refuses the memory. */
function allocate(pages: number): { readonly buffer: ArrayBuffer } {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (error) {
    throw new Error(
      `raise the limit of the address space (ulimit -v): the sampler cannot allocate ${pages * PAGE} bytes (${messageOf(error)})`,
      { cause: error },
    );
  }
}
