/**
 * The logits of decoders with matrices of integers on the CPU, in the forms that devices choose, against a
 * computation in float64 with the same weights.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CHOICES } from '../../src/graph-builder/choices.ts';
import { largestDifference, openDecoder, PROMPTS } from './computed-logits.ts';
import { QUANTIZED } from './quantized-cases.ts';
import { quantizedDecoder } from './quantized-decoder.ts';
import { referenceLogits } from './reference-decoder.ts';

const root = mkdtempSync(join(tmpdir(), 'quantized-logits-'));
afterAll(() => rmSync(root, { recursive: true }));

describe.each(['cpu', 'webgpu'] as const)('the form for %s', (kind) => {
  it.each(Object.entries(QUANTIZED))('%s', (_, { properties, formOf, isApart }) => {
    const { quantized, file, plain, plainFile } = quantizedDecoder(properties, formOf, isApart);
    const expected = PROMPTS.map((ids) => referenceLogits(plain, plainFile, ids));
    const session = openDecoder(root, quantized, { file, choices: { ...CHOICES[kind], accuracyLevel: 0 } });
    const largest = largestDifference(session, PROMPTS, expected);
    session.close();
    expect(largest).toBeLessThan(1e-4);
  });
});
