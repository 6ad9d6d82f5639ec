/**
 * Mixtures of experts on the CPU against a computation in float64: routing, activation, biases, numbers of bits
 * and sizes of blocks. The weights are exact in each form.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CHOICES } from '../../src/graph-builder/choices.ts';
import { differencesFrom, openDecoder, PROMPTS } from './computed-logits.ts';
import { type Packing, packExperts } from './pack-experts.ts';
import { type ExpertProperties, type Properties, randomDecoder } from './random-decoder.ts';
import { referenceLogits } from './reference-decoder.ts';

const root = mkdtempSync(join(tmpdir(), 'experts-'));
afterAll(() => rmSync(root, { recursive: true }));

const PLAIN: Properties = { heads: 4, kvHeads: 2, headSize: 16, pairs: 8, hidden: 64, residualScale: 1 };
const SILU: ExpertProperties = {
  ...{ count: 8, inner: 96, chosen: 3, softmaxOver: 'all', normalizes: true },
  activation: { kind: 'silu' },
};
const CLAMPED: ExpertProperties = {
  ...{ ...SILU, softmaxOver: 'chosen', normalizes: false },
  activation: { kind: 'clamped_swiglu', alpha: 1.702, limit: 0.5 },
};
const BIASES = ['router', 'gate', 'up', 'down'];
const EIGHT: Packing = { bits: 8, blockSize: 32 };

function differenceOf(properties: Properties, form: Packing): number {
  const { spec, file } = randomDecoder(properties);
  const expected = PROMPTS.map((ids) => referenceLogits(spec, file, ids));
  const packed = packExperts(spec, file, form);
  const session = openDecoder(root, packed.spec, { file: packed.file, choices: CHOICES.cpu });
  const { largest } = differencesFrom(session, PROMPTS, expected);
  session.close();
  return largest;
}

describe.each([
  ['silu, weights over the chosen experts', SILU, []],
  ['silu, weights over all experts', { ...SILU, normalizes: false }, []],
  ['one expert', { ...SILU, chosen: 1 }, []],
  ['one expert, weights over all experts', { ...SILU, chosen: 1, normalizes: false }, []],
  ['all experts', { ...SILU, chosen: 8 }, []],
  ['clamped swiglu with biases', CLAMPED, BIASES],
  ['biases of the experts alone', CLAMPED, ['gate', 'up', 'down']],
  ['experts as wide as the hidden size', { ...SILU, inner: 64 }, []],
] as const)('%s', (_, experts, biases) => {
  it.each<Packing>([
    EIGHT,
    { bits: 8, blockSize: 16 },
    { bits: 8, blockSize: 16, zeroPoints: true },
    { ...EIGHT, zeroPoints: true },
  ])('%o', (form) => {
    expect(differenceOf({ ...PLAIN, experts, biases }, form)).toBeLessThan(1e-4);
  });

  it.each([16, 32])('4 bits, blocks of %d', (blockSize) => {
    const difference = differenceOf({ ...PLAIN, experts, biases, bits: 4 }, { bits: 4, blockSize });
    expect(difference).toBeLessThan(1e-4);
  });
});
