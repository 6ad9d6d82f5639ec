/** The forms of matrices that decoders of the tests have. */
import type { Form, FormOf } from './quantized-decoder.ts';
import type { Properties } from './random-decoder.ts';

export interface QuantizedCase {
  readonly properties: Properties;
  readonly formOf: FormOf;
  /** Queries, keys and values are not neighbours in the file. */
  readonly isApart?: boolean;
}

const PLAIN: Properties = { heads: 4, kvHeads: 2, headSize: 16, pairs: 8, hidden: 64, inner: 96 };
/** All matrices have a number of columns that is a multiple of 256. */
const WIDE: Partial<Properties> = { heads: 16, hidden: 256, inner: 256 };
const all = (form: Form, properties: Partial<Properties> = {}): QuantizedCase => ({
  properties: { ...PLAIN, ...properties },
  formOf: () => form,
});
const FOUR: Form = { bits: 4, blockSize: 32 };
const EIGHT: Form = { bits: 8, blockSize: 32 };

const MINIMUMS: Form = { ...FOUR, hasMinimums: true };
const BIASES = ['q', 'k', 'gate', 'down', 'output'];

export const QUANTIZED: Readonly<Record<string, QuantizedCase>> = {
  '4 bits, blocks of 32': all(FOUR),
  '4 bits, blocks of 32, apart': { ...all(FOUR), isApart: true },
  '4 bits, blocks of 16': all({ bits: 4, blockSize: 16 }),
  '4 bits, blocks of 64': all({ bits: 4, blockSize: 64 }, WIDE),
  '4 bits, blocks of 128': all({ bits: 4, blockSize: 128 }, WIDE),
  '4 bits, blocks of 256': all({ bits: 4, blockSize: 256 }, WIDE),
  '8 bits, blocks of 32': all(EIGHT),
  '8 bits, blocks of 16': all({ bits: 8, blockSize: 16 }),
  '8 bits, blocks of 128': all({ bits: 8, blockSize: 128 }, WIDE),
  '8 bits, zero points': all({ ...EIGHT, hasZeroPoints: true }),
  '8 bits, blocks of 16, zero points': all({ bits: 8, blockSize: 16, hasZeroPoints: true }),
  '4 bits, minimums': all(MINIMUMS),
  '4 bits, blocks of 16, minimums': all({ bits: 4, blockSize: 16, hasMinimums: true }),
  '8 bits, minimums': all({ ...EIGHT, hasMinimums: true }),
  '8 bits, minimums and zero points': all({ ...EIGHT, hasMinimums: true, hasZeroPoints: true }),
  'minimums and biases': all(MINIMUMS, { biases: BIASES }),
  'minimums, biases, apart': { ...all(MINIMUMS, { biases: BIASES }), isApart: true },
  'biases of joined matrices': all(EIGHT, { biases: BIASES }),
  'biases, apart': { ...all(EIGHT, { biases: BIASES }), isApart: true },
  'a head of its own': all(FOUR, { isTied: false }),
  'a head of its own, minimums': all(MINIMUMS, { isTied: false }),
  'an odd number of heads': all(FOUR, { heads: 3, kvHeads: 1, headSize: 32, pairs: 3, inner: 160 }),
  'padded heads': all(MINIMUMS, { headSize: 24, pairs: 6 }),
  'norms of queries and keys': all(FOUR, { normOver: 'head' }),
  'an explicit attention': all(MINIMUMS, { softcap: 0.5 }),
  'a form for each matrix': {
    properties: { ...PLAIN, isTied: false, biases: ['v', 'up'] },
    formOf: (name) =>
      ({
        embedding: { bits: 8, blockSize: 16 } as const,
        v: { bits: 8, blockSize: 32, hasZeroPoints: true } as const,
        down: { bits: 4, blockSize: 16 } as const,
        up: { ...MINIMUMS, blockSize: 16 } as const,
        head: undefined,
        gate: undefined,
      })[name] ?? (name === 'head' || name === 'gate' ? undefined : MINIMUMS),
  },
  'floats in the embedding alone': { properties: PLAIN, formOf: (name) => (name === 'embedding' ? undefined : FOUR) },
  'a float matrix beside joined ones': { properties: PLAIN, formOf: (name) => (name === 'v' ? undefined : FOUR) },
};
