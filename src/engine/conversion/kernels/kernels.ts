/**
 * The conversion of weights in WebAssembly SIMD (kernels.wat), and the memory that it shares with JavaScript,
 * allocated once for pieces of `PIECE` weights.
 */

import { BLOCK_FORMATS, type BlockFormat } from '../../../protocol/decoder/block-formats.ts';
import type { SourceFormat } from '../../../protocol/decoder/conversion.ts';
import { EXACT_FORMS, type Form } from '../../../protocol/decoder/exact-forms.ts';
import { messageOf } from '../../../protocol/text/error-message.ts';
import { hasAllWeights, isSameForm } from '../plan/forms.ts';
import { KERNELS } from './kernels.wasm.ts';

/**
 * Only the members that this file uses: neither TypeScript's es2023 nor @types/node 20 declares WebAssembly.
 */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

/** Weights that are converted together: a multiple of every block. The memory of a piece fits into caches. */
export const PIECE = 2 ** 20;
/** Weights of a slice. Between two steps of a conversion, its float32 stay in the level 2 cache. */
const SLICE = 2 ** 14;
const PAGE = 65_536;
const ALIGNMENT = 64;

/** Addresses and counts are whole numbers; nothing is checked. */
type BlockPass = (...at: [from: number, count: number, values: number, scales: number, extras: number]) => void;

type Passes = Readonly<Record<BlockFormat, BlockPass>> & {
  /** `count` numbers, a multiple of 8, become float32. */
  f16(from: number, count: number, to: number): void;
  bf16(from: number, count: number, to: number): void;
  /** `count` blocks of 32 float32: see kernels.wat for the rounding. */
  quantize4(from: number, count: number, values: number, scales: number): void;
  quantize8(from: number, count: number, values: number, scales: number): void;
  quantizeZero: BlockPass;
  /** `count` groups of 16 weights become float32; group i has the scale and the minimum at i >> shift. */
  dequantize4: DequantizePass;
  dequantize8: DequantizePass;
  /** `count` groups of 16 integers of 4 bits become integers of 8 bits. */
  widen(values: number, count: number, to: number): void;
  /** `count` float32, each of them twice. */
  twice(from: number, count: number, to: number): void;
  /** `count` blocks of MXFP4 in two parts become blocks of a GGUF file. */
  joinBlocks(...parts: [pairs: number, exponents: number, count: number, to: number]): void;
  /** @returns 1 if `count` float32 are all finite, else 0. */
  isFinite(at: number, count: number): number;
};
type DequantizePass = (
  ...parts: [values: number, scales: number, minimums: number, count: number, to: number, shift: number]
) => void;

/** The addresses of the parts of a converted piece. */
interface Parts {
  readonly values: number;
  readonly scales: number;
  /** Minimums or zero points. */
  readonly extras: number;
}

export class Kernels {
  /** The bytes of a piece in the file. The owner writes them. */
  readonly source: Uint8Array;
  /** The two parts of a piece of MXFP4 before `joinBlocks`. They lie in `source`, behind the blocks. */
  readonly pairs: Uint8Array;
  readonly exponents: Uint8Array;
  /** The parts of the converted piece, after `convert`. */
  readonly values: Uint8Array;
  readonly scales: Float32Array;
  readonly minimums: Float32Array;
  readonly zeroPoints: Uint8Array;
  readonly #passes: Passes;
  readonly #from: number;
  readonly #to: Parts;
  /** The exact form of a slice, before it is quantized again, its weights as floats, and zeros. */
  readonly #exact: Parts;
  readonly #floats: number;
  readonly #zeros: number;

  /** @throws Error if the memory is not available */
  constructor() {
    let end = 0;
    // Passes read and write up to one vector past the end.
    const take = (bytes: number): number => {
      const at = end;
      end = at + Math.ceil((bytes + ALIGNMENT) / ALIGNMENT) * ALIGNMENT;
      return at;
    };
    const parts = (weights: number): Parts => ({
      values: take(weights),
      scales: take(weights / 4),
      extras: take(weights / 4),
    });
    this.#from = take(4 * PIECE);
    this.#to = parts(PIECE);
    this.#exact = parts(SLICE);
    this.#floats = take(4 * SLICE);
    this.#zeros = take(SLICE / 4);
    const memory = allocate(Math.ceil(end / PAGE));
    const { buffer } = memory;
    this.source = new Uint8Array(buffer, this.#from, 4 * PIECE);
    this.pairs = this.source.subarray(PIECE, PIECE + PIECE / 2);
    this.exponents = this.source.subarray(2 * PIECE, 2 * PIECE + PIECE / 32);
    this.values = new Uint8Array(buffer, this.#to.values, PIECE);
    this.scales = new Float32Array(buffer, this.#to.scales, PIECE / 16);
    this.minimums = new Float32Array(buffer, this.#to.extras, PIECE / 16);
    this.zeroPoints = new Uint8Array(buffer, this.#to.extras, PIECE / 16);
    const module = new WebAssembly.Module(Buffer.from(KERNELS, 'base64'));
    this.#passes = new WebAssembly.Instance(module, { layout: { memory } }).exports as Passes;
  }

  /**
   * Converts the first `count` weights in `source`, whole blocks, at most `PIECE`.
   * @returns false if a scale or a minimum is not finite.
   */
  convert(from: SourceFormat, form: Form, count: number): boolean {
    const { values, scales, extras } = this.#to;
    if (isBlockFormat(from) && isSameForm(form, EXACT_FORMS[from])) {
      this.#passes[from](this.#from, count / BLOCK_FORMATS[from].values, values, scales, extras);
    } else {
      const isWider = isBlockFormat(from) && hasAllWeights(form, EXACT_FORMS[from]);
      for (let start = 0; start < count; start += SLICE) {
        const size = Math.min(SLICE, count - start);
        if (isWider) this.#widen(from, form, start, size);
        else this.#quantize(this.#floatsOf(from, start, size), form, start, size);
      }
    }
    const blocks = count / form.blockSize;
    const isSound = this.#passes.isFinite(scales, blocks) === 1;
    return isSound && (form.extra !== 'minimums' || this.#passes.isFinite(extras, blocks) === 1);
  }

  /** Makes blocks in `source` of the first `count` blocks in `pairs` and `exponents`. */
  joinBlocks(count: number): void {
    const { pairs, exponents, source } = this;
    this.#passes.joinBlocks(pairs.byteOffset, exponents.byteOffset, count, source.byteOffset);
  }

  /** Converts a slice into a form with more bits or smaller blocks than its exact form. */
  #widen(from: BlockFormat, form: Form, start: number, count: number): void {
    const { values, bytes } = BLOCK_FORMATS[from];
    const exact = EXACT_FORMS[from];
    const [hasMoreBits, hasSmallerBlocks] = [form.bits > exact.bits, form.blockSize < exact.blockSize];
    const to = {
      values: this.#to.values + (start * form.bits) / 8,
      scales: this.#to.scales + (start / form.blockSize) * Float32Array.BYTES_PER_ELEMENT,
    };
    const first = {
      values: hasMoreBits ? this.#exact.values : to.values,
      scales: hasSmallerBlocks ? this.#exact.scales : to.scales,
    };
    const source = this.#from + (start / values) * bytes;
    this.#passes[from](source, count / values, first.values, first.scales, this.#exact.extras);
    if (hasMoreBits) this.#passes.widen(first.values, count / 16, to.values);
    if (hasSmallerBlocks) this.#passes.twice(first.scales, count / exact.blockSize, to.scales);
  }

  /** @returns the address of a slice of the weights as float32. */
  #floatsOf(from: SourceFormat, start: number, count: number): number {
    if (from === 'f32') return this.#from + 4 * start;
    if (from === 'f16' || from === 'bf16') {
      this.#passes[from](this.#from + 2 * start, count, this.#floats);
      return this.#floats;
    }
    const { values, bytes } = BLOCK_FORMATS[from];
    const { bits, blockSize, extra } = EXACT_FORMS[from];
    const exact = this.#exact;
    this.#passes[from](this.#from + (start / values) * bytes, count / values, exact.values, exact.scales, exact.extras);
    const minimums = extra ? exact.extras : this.#zeros;
    const shift = blockSize === 32 ? 1 : 0;
    const dequantize = bits === 4 ? this.#passes.dequantize4 : this.#passes.dequantize8;
    dequantize(exact.values, exact.scales, minimums, count / 16, this.#floats, shift);
    return this.#floats;
  }

  #quantize(floats: number, { bits, extra }: Form, start: number, count: number): void {
    const blocks = count / 32;
    const values = this.#to.values + (start * bits) / 8;
    const scales = this.#to.scales + start / 8;
    if (extra === 'zeroPoints') this.#passes.quantizeZero(floats, blocks, values, scales, this.#to.extras + start / 32);
    else if (bits === 8) this.#passes.quantize8(floats, blocks, values, scales);
    else this.#passes.quantize4(floats, blocks, values, scales);
  }
}

const isBlockFormat = (format: SourceFormat): format is BlockFormat => format in BLOCK_FORMATS;

/** @throws Error with the way out if the system refuses the memory. */
function allocate(pages: number): { readonly buffer: ArrayBuffer } {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (error) {
    throw new Error(
      `raise the limit of the address space (ulimit -v): the conversion of weights cannot allocate ${pages * PAGE} bytes (${messageOf(error)})`,
      { cause: error },
    );
  }
}
