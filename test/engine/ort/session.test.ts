import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../../src/engine/engine.ts';
import { OrtError } from '../../../src/engine/ort/api.ts';
import { readSignature } from '../../../src/engine/ort/signature.ts';
import type { TensorInfo } from '../../../src/onnx/types.ts';
import type { DeviceName } from '../../../src/protocol/devices.ts';
import { Bench, modelFile, onCpu, openSession, options } from '../harness.ts';
import { modelWithInput } from './model-with-input.ts';

const nothing = (): void => undefined;
const refused = (change: Partial<typeof options>) => () => Engine.open({ ...options, ...change }, nothing);
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'engine-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the engine refuses', () => {
  it("a missing model, with the runtime's message", () => {
    const file = join(folder, 'missing.onnx');
    const cause = expect.any(OrtError);
    expect(refused(onCpu(file))).toThrow(expect.objectContaining({ cause }));
    expect(refused(onCpu(file))).toThrow(`Load model from ${file} failed`);
    try {
      refused(onCpu(file))();
    } catch (error) {
      expect(error).toMatchObject({ cause: { code: 3, call: 'createSession' } });
    }
  });

  it("a broken model, with the runtime's message", () => {
    const file = join(folder, 'broken.onnx');
    writeFileSync(file, readFileSync(modelFile).subarray(0, 100_000));
    expect(refused(onCpu(file))).toThrow(/protobuf parsing failed/i);
  });

  it("a missing or broken library, with the loader's message", () => {
    expect(refused({ runtimeLibrary: '/no/where.so' })).toThrow('/no/where.so: ');
    expect(refused({ runtimeLibrary: modelFile })).toThrow(`${modelFile}: `);
  });

  it('an unknown device', () => {
    const device = 'abacus' as string as DeviceName;
    expect(refused({ candidates: [{ device, modelFile, weightFiles: [modelFile] }] })).toThrow('Unknown device abacus');
  });

  it('slots and contexts out of range', () => {
    expect(refused({ slots: 0 })).toThrow('slots');
    expect(refused({ context: 1.5 })).toThrow('context');
  });

  it('a cache larger than the memory', () => {
    expect(refused({ context: 2 ** 31, cacheMemory: 2 ** 42 })).toThrow('does_not_fit');
  });

  it('a model with an unknown input, and names the input', () => {
    expect(refused(onCpu(modelWithInput(folder, 'encoder_hidden_states')))).toThrow(
      'The model has an input that this engine does not know: encoder_hidden_states',
    );
  });
});

describe('a signature', () => {
  const int64 = (name: string): TensorInfo => ({ name, type: 7, shape: [-1, -1] });
  const cache = (name: string, type = 1, shape = [-1, 3, -1, 64]): TensorInfo => ({ name, type, shape });
  const inputs = [
    int64('input_ids'),
    int64('attention_mask'),
    cache('past_key_values.0.key'),
    cache('past_key_values.0.value'),
  ];
  const outputs = [{ name: 'logits', type: 1, shape: [-1, -1, 100] }, cache('present.0.key'), cache('present.0.value')];
  const without = (tensors: TensorInfo[], name: string) => tensors.filter((tensor) => tensor.name !== name);

  it('is read from names, types and shapes', () => {
    expect(readSignature({ inputs, outputs })).toEqual({
      ids: 'input_ids',
      lengths: 'attention_mask',
      logits: { name: 'logits', type: 1 },
      caches: [
        { past: 'past_key_values.0.key', present: 'present.0.key', type: 1, shape: [1, 3, -1, 64] },
        { past: 'past_key_values.0.value', present: 'present.0.value', type: 1, shape: [1, 3, -1, 64] },
      ],
      vocabSize: 100,
    });
  });

  it.each([[[]], [[1]], [[-1]]])(
    'can have an input for the number of positions that get logits, int64 of shape %j',
    (shape) => {
      const keep = { name: 'num_logits_to_keep', type: 7, shape };
      expect(readSignature({ inputs: [...inputs, keep], outputs }).keep).toEqual({
        name: 'num_logits_to_keep',
        shape: shape.map(() => 1),
      });
    },
  );

  it('can have an input for the first position that gets logits, counted from the end', () => {
    const first = { name: 'first_logits', type: 7, shape: [1] };
    expect(readSignature({ inputs: [...inputs, first], outputs }).keep).toEqual({
      name: 'first_logits',
      shape: [1],
      negated: true,
    });
  });

  it.each<[string, TensorInfo[], TensorInfo[]]>([
    ['The model has no input input_ids', without(inputs, 'input_ids'), outputs],
    ['The model has no output logits', inputs, without(outputs, 'logits')],
    ['The model has no output present.0.key', inputs, without(outputs, 'present.0.key')],
    ['without a cache', inputs.slice(0, 2), outputs],
    [
      'logits is int8: only float32, float16, bfloat16',
      inputs,
      [{ name: 'logits', type: 3, shape: [-1, -1, 9] }, ...outputs.slice(1)],
    ],
    ['logits has no fixed vocabulary', inputs, [{ name: 'logits', type: 1, shape: [-1, -1, -1] }, ...outputs.slice(1)]],
    ['num_logits_to_keep is int32', [...inputs, { name: 'num_logits_to_keep', type: 6, shape: [] }], outputs],
    ['num_logits_to_keep is not one number', [...inputs, int64('num_logits_to_keep')], outputs],
    ['past_key_values.1.key is string', [...inputs, cache('past_key_values.1.key', 8)], outputs],
    ['present.0.key is float16: only float32', inputs, [outputs[0]!, cache('present.0.key', 10), outputs[2]!]],
    [
      'past_key_values.0.value is not [rows',
      [...inputs.slice(0, 3), cache('past_key_values.0.value', 1, [-1, -1, -1, 64])],
      outputs,
    ],
  ])('is refused: %s', (message, theInputs, theOutputs) => {
    expect(() => readSignature({ inputs: theInputs, outputs: theOutputs })).toThrow(message);
  });
});

describe('an open session', () => {
  it('reports its facts', () => {
    const bench = new Bench({ slots: 3, context: 128 });
    expect(bench.engine.facts).toMatchObject({
      runtimeVersion: expect.stringMatching(/^1\.\d+\.\d+$/),
      device: 'cpu',
      slots: 3,
      context: 128,
      vocabSize: 1024,
      rows: 3 + 48,
      cacheBytesPerToken: 2 * 4 * 4 * 16 * 4,
      // At most two full rows for each slot.
      cacheBytes: 2 * 3 * 128 * 2 * 4 * 4 * 16 * 4,
      cacheBudgetBytes: 2 * 3 * 128 * 2 * 4 * 4 * 16 * 4,
      deviceBytes: 0,
      prefillChunk: 128,
    });
    bench.engine.close();
  });

  it('has 16 slots, with `auto`, and names the free memory if the memory of the cache is `auto`', () => {
    const bench = new Bench({ slots: 'auto' });
    expect(bench.engine.facts.slots).toBe(16);
    expect(bench.engine.facts.availableBytes).toBeGreaterThan(0);
    bench.engine.close();
    const given = new Bench({ slots: 'auto', cacheMemory: 2 ** 20 });
    expect(given.engine.facts).toMatchObject({ slots: 16, context: 256, cacheBytes: 2 ** 20 });
    expect(given.engine.facts).not.toHaveProperty('availableBytes');
    given.engine.close();
  });

  it('has shorter rows if the memory of the cache holds fewer tokens', () => {
    const bench = new Bench({ context: 131_072, cacheMemory: 2 ** 20 });
    expect(bench.engine.facts).toMatchObject({
      slots: 4,
      context: 512,
      cacheLimit: { cause: 'memory', rows: 4 + 48, context: 131_072 },
    });
    bench.engine.close();
  });
});

it('refuses a run whose ids or lengths exceed the reserved memory', () => {
  const session = openSession(modelFile, { rows: 2, capacity: 32, chunk: 8, keep: 4 });
  const one = { first: 0, count: 1 };
  expect(() => session.run({ rows: one, lengths: [9], tokens: 9, logitsAt: 0, keep: 1 })).toThrow('ids');
  const two = { first: 0, count: 2 };
  expect(() => session.run({ rows: two, lengths: [33, 2], tokens: 1, logitsAt: 4, keep: 1 })).toThrow('lengths');
  session.close();
});
