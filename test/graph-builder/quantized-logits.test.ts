/**
 * The logits of decoders with matrices of integers on the CPU, in the forms that devices choose, against a
 * computation in float64 with the same weights.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CHOICES, type Choices } from '../../src/graph-builder/choices.ts';
import { type Differences, differencesFrom, openDecoder, PROMPTS } from './computed-logits.ts';
import { QUANTIZED, type QuantizedCase } from './quantized-cases.ts';
import { quantizedDecoder } from './quantized-decoder.ts';
import { referenceLogits } from './reference-decoder.ts';

const root = mkdtempSync(join(tmpdir(), 'quantized-logits-'));
afterAll(() => rmSync(root, { recursive: true }));

function differences({ properties, formOf, isApart }: QuantizedCase, choices: Choices): Differences {
  const { quantized, file, plain, plainFile } = quantizedDecoder(properties, formOf, isApart);
  const expected = PROMPTS.map((ids) => referenceLogits(plain, plainFile, ids));
  const session = openDecoder(root, quantized, { file, choices });
  const found = differencesFrom(session, PROMPTS, expected);
  session.close();
  return found;
}

describe.each(['cpu', 'webgpu'] as const)('the form for %s', (kind) => {
  it.each(Object.entries(QUANTIZED))('%s', (_, one) => {
    expect(differences(one, { ...CHOICES[kind], accuracyLevel: 0 }).largest).toBeLessThan(1e-4);
  });
});

describe('activations of 8 bits on the CPU', () => {
  it.each(Object.entries(QUANTIZED))('%s', (_, one) => {
    // Random weights exaggerate the rounding. Without minimums or biases, the logits differ by more than 1.
    expect(differences(one, CHOICES.cpu).relative).toBeLessThan(0.1);
  });
});
