/**
 * Widens 16-bit floats to float32, the type of the logits that the sampler reads. Pure, except for its lookup
 * tables.
 */
import { BFLOAT16 } from './types.ts';

const VALUES = 2 ** 16;
/** Lookup tables by element type: the exact float32 of each of the 65 536 bit patterns. */
const TABLES = new Map<number, Float32Array>();

/**
 * Widens the elements of `from` in a range into the same range of `to`.
 * @param type `FLOAT16` (IEEE 754 binary16) or `BFLOAT16` (the upper half of a float32).
 * @param range first index, and the index after the last.
 */
export function widen(
  type: number,
  from: Uint16Array,
  to: Float32Array,
  { start, end }: { readonly start: number; readonly end: number },
): void {
  const table = TABLES.get(type) ?? Float32Array.from({ length: VALUES }, (_, bits) => floatOf(type, bits));
  TABLES.set(type, table);
  for (let index = start; index < end; index++) to[index] = table[from[index] as number] as number;
}

/** The float32 of one bit pattern. */
export function floatOf(type: number, bits: number): number {
  if (type === BFLOAT16) return new Float32Array(Uint32Array.of(bits << 16).buffer)[0] as number;
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
