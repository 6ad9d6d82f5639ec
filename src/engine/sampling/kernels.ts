/**
 * The sampler's passes over a row of logits, written by hand in WebAssembly SIMD (kernels.wat), and the memory they work in:
 * allocated once for one vocabulary, seen from both sides. What calls which pass when is candidates.ts.
 */
import { KERNELS } from './kernels.wasm.ts';

/** The part that is used here: neither TypeScript's es2023 nor @types/node 20 declares WebAssembly. */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

/** Ids of one group: the row is read, and weights are summed up, by groups. */
export const GROUP = 64;
/** A histogram has 2^11 buckets at most: 16 KiB, half of the fastest cache. */
export const BUCKET_BITS = 11;

const PAGE = 65_536;
/** Bytes at address 0 that the module itself fills. */
const TABLE = 256;
const ALIGNMENT = 64;

/** Ids and their logits, in the order of ids, and what each counts for. Valid up to a count that the owner knows. */
export interface List {
  /** Its address, for the passes. */
  readonly at: number;
  readonly ids: Int32Array;
  readonly values: Float32Array;
  readonly weights: Float32Array;
}

/** All pointers are `at` of a list, or byte offsets of an array; ids and counts are whole numbers, values are rounded to float32. */
interface Passes {
  /** Writes the largest logit of each group to `maxima`. @returns the largest of all; NaN where a logit is NaN or +Infinity. */
  argMax(): number;
  /** @returns the lowest id with this logit, which must be among `maxima`. */
  find(value: number): number;
  /** weight = 2^((value − most) · scale), 0 below 2^-92; relative error below 1.3e-7 + 9e-8 per unit of the exponent. */
  weigh(values: number, count: number, most: number, scale: number, weights: number): void;
  /** Writes the float64 sum of each 64 to `sums`; the 64 weights after the last become 0. @returns the sum of all. */
  add(weights: number, count: number): number;
  /**
   * Lists the ids of the row with at least this logit; -0 becomes 0. The list's weights are those of the whole row before, and of the list
   * after. @returns how many.
   */
  gather(least: number, list: number): number;
  /** Keeps of a list what is above `least`, and what is equal to it up to the id `last`. @returns how many. */
  keep(list: number, count: number, least: number, last: number): number;
  /** Writes the largest key of a list and the smallest to `span`. A key is a float32's bits, arranged to compare as integers. */
  measure(list: number, count: number): void;
  /** Adds each weight to the bucket (high − key) >>> shift; right after `measure` of the same list. */
  tally(list: number, count: number, high: number, shift: number): void;
  /** Copies what is in one bucket of `tally` to another list or to the same. @returns how many. */
  sift(list: number, count: number, high: number, shift: number, bucket: number, to: number): number;
}

export class Kernels {
  readonly passes: Passes;
  /** `[vocab]`: the logits, to be written from outside. */
  readonly row: Float32Array;
  /** The largest logit of each group, after `survey`. */
  readonly maxima: Float32Array;
  /** The sum of weights of each group, after `add`. */
  readonly sums: Float64Array;
  readonly span: Int32Array;
  readonly buckets: Float64Array;
  /** Two lists of up to a vocabulary. */
  readonly candidates: List;
  readonly edge: List;

  /** @param vocabSize at least 1. */
  constructor(vocabSize: number) {
    const groups = Math.ceil(vocabSize / GROUP);
    // Passes read and write up to a group past the end.
    const places = (groups + 1) * GROUP;
    const stride = places * Float32Array.BYTES_PER_ELEMENT;
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
    const lists = [take(3 * stride), take(3 * stride)] as const;
    const pages = Math.ceil(end / PAGE);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const { buffer } = memory;
    const listAt = (at: number): List => ({
      at,
      ids: new Int32Array(buffer, at, places),
      values: new Float32Array(buffer, at + stride, places),
      weights: new Float32Array(buffer, at + 2 * stride, places),
    });
    this.row = new Float32Array(buffer, row, vocabSize);
    this.maxima = new Float32Array(buffer, maxima, groups);
    this.sums = new Float64Array(buffer, sums, groups);
    this.span = new Int32Array(buffer, span, 2);
    this.buckets = new Float64Array(buffer, buckets, 2 ** BUCKET_BITS);
    this.candidates = listAt(lists[0]);
    this.edge = listAt(lists[1]);
    new Float32Array(buffer, row, places).fill(Number.NEGATIVE_INFINITY);
    const layout = { memory, row, maxima, sums, span, buckets, stride, groups };
    const module = new WebAssembly.Module(Buffer.from(KERNELS, 'base64'));
    this.passes = new WebAssembly.Instance(module, { layout }).exports as Passes;
  }
}
