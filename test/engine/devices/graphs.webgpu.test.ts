/**
 * Graphs of checkpoints on WebGPU in software: the ids of the CPU, for each element type and head size, and for
 * attention that the provider's operator does not compute.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { BFLOAT16, FLOAT16 } from '../../../src/onnx/types.ts';
import { type RandomShape, writeRandomDecoder } from '../../support/random-decoder.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { Bench, prompt } from '../harness.ts';
import { openEngine, stopEngines, TIMEOUT_MS } from './engine-process.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'checkpoints-')));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(stopEngines);

const OPTIONS = { context: 64, slots: 2, prefillChunk: 7 };
const PROMPTS = [23, 9].map((length, salt) => prompt(length, salt).map((id) => id % 200));
const COUNT = 24;

const SHAPES: readonly [name: string, shape: RandomShape][] = [
  ['heads of 16', {}],
  ['heads of 8, with a head of its own', { headSize: 8, tied: false }],
  ['heads of 20', { headSize: 20 }],
  ['heads of 24, in bfloat16', { headSize: 24, type: BFLOAT16 }],
  ['heads of 64, in float16', { headSize: 64, type: FLOAT16, tied: false }],
  ['a norm of each head of queries and keys', { normOver: 'head' }],
  ['norms of all queries and all keys', { normOver: 'width', headSize: 24 }],
  ['heads that rotate in part', { headSize: 32, pairs: 5 }],
  ['a window', { layers: [{ window: 5 }, {}] }],
  ['a cap of the scores', { layers: [{ softcap: 2 }, { softcap: 2 }] }],
  ['caps and windows as in Gemma 2', { gemma: true, layers: [{ softcap: 2, window: 5 }, { softcap: 2 }] }],
  ['a cap, with a norm of each head', { normOver: 'head', layers: [{ softcap: 2 }, { softcap: 2, window: 3 }] }],
  ['a cap over padded heads of one group', { headSize: 20, kvHeads: 1, layers: [{ softcap: 2, window: 5 }, {}] }],
];

describe.runIf(softwareVulkan)('a checkpoint on WebGPU generates the ids of the CPU', () => {
  it.each(SHAPES)('%s', { timeout: TIMEOUT_MS }, async (name, shape) => {
    const on = writeRandomDecoder(join(folder, `${name}.bin`), shape);
    const cpu = new Bench({ ...OPTIONS, candidates: [on('cpu')] });
    const engine = await openEngine({ ...OPTIONS, candidates: [on('webgpu')] });
    expect(engine.refusal).toBeUndefined();
    expect(engine.facts).toMatchObject({ device: 'webgpu', cacheUpdate: 'in_place', prefillChunk: 7 });
    expect(engine.facts?.cpuDifference).toBeLessThan(1e-4);
    const expected = await Promise.all(PROMPTS.map((one) => cpu.run({ prompt: one, maxTokens: COUNT })));
    cpu.engine.close();
    expect(await Promise.all(PROMPTS.map((one) => engine.run(one, COUNT)))).toEqual(expected.map(({ ids }) => ids));
  });
});

interface Operator {
  readonly op_name: string;
  readonly provider: string;
  readonly output_size: string;
}

const SCRIPT = fileURLToPath(new URL('../../support/decode-profiled.mjs', import.meta.url));

describe.runIf(softwareVulkan)('a step of decoding of a checkpoint on WebGPU', () => {
  it.each([
    ['GroupQueryAttention', {}],
    ['a cap of the scores', { layers: [{ softcap: 2, window: 5 }, { softcap: 2 }] }],
  ] as const)(
    'with %s computes on the device, and waits for no copy from it',
    { timeout: TIMEOUT_MS },
    async (name, shape: RandomShape) => {
      const file = join(folder, `${name}.json`);
      writeFileSync(file, JSON.stringify(writeRandomDecoder(join(folder, `${name}-profiled.bin`), shape)('webgpu')));
      const run = promisify(execFile)(process.execPath, [SCRIPT, file, folder, '16', '400'], {
        env: { ...softwareVulkan },
        maxBuffer: 2 ** 26,
      });
      const { decodes } = JSON.parse((await run).stdout) as { decodes: { operators: Operator[] }[] };
      for (const { operators } of decodes) {
        expect(operators.filter(({ op_name }) => op_name === 'MatMul')).not.toEqual([]);
        expect(operators.filter(({ op_name }) => op_name === 'MemcpyToHost')).toEqual([]);
        // Lengths and sizes, in integers of 8 bytes.
        const onHost = operators.filter(({ provider }) => provider === 'CPUExecutionProvider');
        expect(onHost.filter(({ output_size }) => Number(output_size) > 32)).toEqual([]);
        if (name === 'GroupQueryAttention') expect(onHost).toEqual([]);
      }
    },
  );
});
