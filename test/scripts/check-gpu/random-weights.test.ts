/** The random models of the check on a GPU: their files, and an engine that runs them. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  candidateFor,
  convertedIn,
  layoutOf,
  makeModel,
  randomUnits,
} from '../../../scripts/check-gpu/random-weights.ts';
import { FORMATS, type Format, readShare, SCALES, SHAPE_NAMES, weightsOf } from '../../../scripts/check-gpu/shapes.ts';
import { Engine } from '../../../src/engine/engine.ts';
import { libraryPath } from '../../../src/model/runtime-library.ts';
import type { FromEngine } from '../../../src/protocol/messages.ts';
import { GREEDY } from '../../../src/protocol/sampling.ts';

const { tiny, full } = SCALES;
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const halfOf = (bits: number): number => {
  const [sign, exponent, mantissa] = [bits >> 15, (bits >> 10) & 31, bits & 1023];
  return (sign ? -1 : 1) * 2 ** (exponent - 15) * (1 + mantissa / 1024);
};

describe('random bytes', () => {
  test('of half floats are small, of both signs and different', () => {
    const bytes = randomUnits('fp16', 4000);
    const values = Array.from(new Uint16Array(bytes.slice().buffer), halfOf);
    expect(values.every((value) => Math.abs(value) >= 2 ** -7 && Math.abs(value) < 2 ** -6)).toBe(true);
    expect(values.filter((value) => value < 0).length).toBeGreaterThan(1500);
    expect(new Set(values).size).toBeGreaterThan(1000);
  });

  test.each([
    ['q4', 18, -9],
    ['q8', 34, -13],
  ] as const)('of %s have finite scales of one size', (format, block, power) => {
    const bytes = randomUnits(format, 500);
    expect(bytes).toHaveLength(500 * block);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = 0; at < bytes.length; at += block) {
      const scale = halfOf(view.getUint16(at, true));
      expect(scale).toBeGreaterThanOrEqual(2 ** power);
      expect(scale).toBeLessThan(2 ** (power + 1));
    }
  });

  test('are the same in every run', () => {
    expect(randomUnits('q4', 100)).toEqual(randomUnits('q4', 100));
  });
});

describe('the layout of a file', () => {
  test.each(SHAPE_NAMES.flatMap((shape) => FORMATS.map((format) => [shape, format] as const)))(
    'of %s in %s has all matrices at places of their own, and is little larger than its largest tensor or layer',
    (name, format) => {
      const shape = full.shapes[name];
      const { tensors, bytes } = layoutOf(shape, format);
      const matrices = [...tensors].filter(([key]) => !key.includes('norm'));
      expect(matrices).toHaveLength(7 * shape.layers + (shape.tied ? 1 : 2));
      expect(new Set(matrices.map(([, { offset }]) => offset)).size).toBe(matrices.length);
      expect(matrices.reduce((sum, [, { shape: size }]) => sum + (size[0] ?? 0) * (size[1] ?? 0), 0)).toBe(
        weightsOf(shape),
      );
      const most = Math.max(...[...tensors.values()].map((tensor) => tensor.offset + tensor.bytes));
      expect(bytes).toBe(most);
      expect(bytes).toBeLessThan(1.1e9);
    },
  );

  test('has q, k and v of a layer as neighbours', () => {
    const { tensors } = layoutOf(full.shapes['1 B'], 'fp16');
    const [q, k, v] = ['q', 'k', 'v'].map((part) => tensors.get(`model.layers.3.self_attn.${part}_proj.weight`));
    expect([(q?.offset ?? 0) + (q?.bytes ?? 0), (k?.offset ?? 0) + (k?.bytes ?? 0)]).toEqual([k?.offset, v?.offset]);
  });
});

test('the weights of the shapes are those of their names, and a token reads all but an embedding that is no head', () => {
  const millions = SHAPE_NAMES.map((name) => Math.round(weightsOf(full.shapes[name]) / 1e6));
  expect(millions).toEqual([134, 1236, 8030]);
  expect(SHAPE_NAMES.map((name) => readShare(full.shapes[name]).toFixed(3))).toEqual(['1.000', '1.000', '0.935']);
});

/** Ids of a greedy sequence. */
function generate(format: Format, shape: (typeof SHAPE_NAMES)[number]): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'random-weights-'));
  folders.push(folder);
  const form = { shape: tiny.shapes[shape], format };
  const made = makeModel(folder, 'model', form);
  expect(statSync(join(folder, 'model.bin')).size).toBe(made.bytes);
  expect(readFileSync(join(folder, 'model.bin')).subarray(0, 4)).toEqual(
    Buffer.from(format === 'fp16' ? [0, 0x3c, 0, 0x3c] : [0, 0, 0x80, 0x3f]),
  );
  const candidate = candidateFor(folder, 'model', form)('cpu', 64);
  return new Promise((resolve, reject) => {
    const ids: number[] = [];
    const receive = (message: FromEngine): void => {
      for (const { tokens, finish } of message.kind === 'report' ? message.sequences : []) {
        ids.push(...tokens.map(({ id }) => id));
        if (finish && 'message' in finish) reject(new Error(finish.message));
        else if (finish) {
          engine.close();
          resolve(ids);
        }
      }
      if (message.kind === 'conversion') reject(new Error('The engine converts weights that were converted'));
    };
    const engine = Engine.open(
      {
        ...{ runtimeLibrary: libraryPath(), candidates: [candidate], names: {}, slots: 1, context: 64 },
        ...{ prefillChunk: 'auto', threads: 1, speculation: 'off', weightsCache: { folder: convertedIn(folder) } },
      },
      receive,
    );
    const prompt = Array.from({ length: 20 }, (_, index) => (index * 37) % 256);
    engine.submit({ id: 1, prompt, maxTokens: 12, minTokens: 12, endIds: [], sampling: GREEDY });
  });
}

describe('an engine', () => {
  test.each(SHAPE_NAMES.flatMap((shape) => FORMATS.map((format) => [shape, format] as const)))(
    'runs the tiny shape of %s in %s, without converting again',
    async (shape, format) => {
      const ids = await generate(format, shape);
      expect(ids).toHaveLength(12);
      expect(ids.every((id) => id >= 0 && id < 512)).toBe(true);
    },
  );
});
