/** A built graph with the best logits: equal to the best of its logits, and the same signature. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readSignature } from '../../src/engine/ort/signature.ts';
import { type BuiltDecoder, buildDecoder, IDS } from '../../src/graph-builder/build-decoder.ts';
import { CHOICES } from '../../src/graph-builder/choices.ts';
import { FIRST_INPUT } from '../../src/onnx/edit/last-logits.ts';
import { LONGEST } from '../../src/onnx/edit/length-inputs.ts';
import { TOP } from '../../src/onnx/edit/top-logits.ts';
import { BFLOAT16, FLOAT16, FLOAT32 } from '../../src/onnx/types.ts';
import { expectTop, topOutputs } from '../onnx/edit/top-graphs.ts';
import { computeOnCpu, type Tensor } from '../support/one-node.ts';
import { randomDecoder, VOCABULARY } from './random-decoder.ts';

const root = mkdtempSync(join(tmpdir(), 'top-logits-'));
afterAll(() => rmSync(root, { recursive: true }));
const [ROWS, POSITIONS, COUNT] = [2, 16, 9];

/** The first value of each input that is not 0. */
const VALUES: Readonly<Record<string, number>> = { [IDS]: 7, [LONGEST]: 1, [FIRST_INPUT]: -1 };

/** A step of two rows without past tokens. */
function inputsOf({ inputs }: BuiltDecoder): Tensor[] {
  return inputs.map(({ name, type, shape }) => {
    const sizes = shape.map((size, axis) => (size >= 0 ? size : axis === 0 ? ROWS : shape.length > 2 ? POSITIONS : 1));
    const count = sizes.reduce((product, size) => product * size, 1);
    const value = VALUES[name] ?? 0;
    return { name, type, shape: sizes, data: Array.from({ length: count }, (_, row) => value + (value > 1 ? row : 0)) };
  });
}

it.each([
  ['float32', FLOAT32],
  ['float16', FLOAT16],
  ['bfloat16', BFLOAT16],
])('a graph of weights in %s has the best logits', async (_, type) => {
  const { spec, file } = randomDecoder({ heads: 4, kvHeads: 2, headSize: 16, pairs: 8, types: [type] });
  writeFileSync(join(root, `${type}.bin`), file);
  const options = { choices: CHOICES.cpu, files: [`${type}.bin`], positions: POSITIONS };
  const built = buildDecoder(spec, { ...options, topLogits: COUNT });
  expect(readSignature(built)).toEqual({
    ...readSignature(buildDecoder(spec, options)),
    top: { ...TOP, count: COUNT },
  });
  expect(built.outputs.map(({ name }) => name)).toEqual(expect.arrayContaining(Object.values(TOP)));

  const logits = { name: 'logits', type: FLOAT32, shape: [ROWS, 1, VOCABULARY] };
  const outputs = [logits, ...topOutputs([ROWS, 1], COUNT)];
  const [computed = {}] = await computeOnCpu([{ model: built.bytes, folder: root, inputs: inputsOf(built), outputs }]);
  expectTop(computed, { logits: computed.values?.[0] ?? [], vocabSize: VOCABULARY });
});
