/**
 * Sixteen-bit floats → 32 bits: logits of models that compute in half precision are read by the sampler as float32.
 */
import { BFLOAT16 } from './types.ts';

const VALUES = 2 ** 16;
/** By type: the float32 of each of the 65 536 patterns, all of which are exact. */
const TABLES = new Map<number, Float32Array>();

/**
 * Widens `from[start … end)` into the same places of `to`.
 * @param type `FLOAT16` (IEEE 754 binary16) or `BFLOAT16` (the upper half of a float32).
 */
export function widen(type: number, from: Uint16Array, to: Float32Array, start: number, end: number): void {
  const table = TABLES.get(type) ?? Float32Array.from({ length: VALUES }, (_, bits) => floatOf(type, bits));
  TABLES.set(type, table);
  for (let index = start; index < end; index++) to[index] = table[from[index] as number] as number;
}

function floatOf(type: number, bits: number): number {
  if (type === BFLOAT16) return new Float32Array(Uint32Array.of(bits << 16).buffer)[0] as number;
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
