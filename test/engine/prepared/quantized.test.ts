/** Saved weights of GGUF models: integers in blocks, whose products the runtime prepares too. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { EngineOptions } from '../../../src/protocol/loading.ts';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { Bench, options } from '../harness.ts';
import { type QuantizedModel, quantizedModel, writeModel } from '../quantized/quantized-model.ts';
import { EngineProcess } from './engine-process.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'saved-quantized-')));
const processes: EngineProcess[] = [];
afterEach(async () => {
  for (const engine of processes.splice(0)) {
    engine.kill();
    await engine.gone();
  }
});
afterAll(() => rmSync(root, { recursive: true }));

const [NAME, WIDTH, IDS] = ['llama-linear', 1024, 258];
const MODELS: Readonly<Record<string, QuantizedModel['formats']>> = {
  '4 bits': { others: 'q4_0' },
  '4 bits and minimums': { others: 'q4_k' },
  '8 bits': { others: 'q6_k' },
  '8 bits and minimums': { others: 'q5_k' },
};

/** The bytes of the matrices in the order of the runtime at least: 4 bits and a float32 for each block of 32. */
const LEAST_BYTES = 2 * 6 * WIDTH * WIDTH * (1 / 2 + 4 / 32);

async function open(engineOptions: EngineOptions): Promise<EngineProcess> {
  const engine = new EngineProcess();
  processes.push(engine);
  engine.open(engineOptions);
  await engine.opened();
  return engine;
}

describe.runIf(process.platform === 'linux').each(Object.entries(MODELS))('saved weights of %s', (name, formats) => {
  test('give the logits of the engine that has saved them, and are not in the memory of the next one', async () => {
    const folder = join(root, name);
    const file = writeModel(folder, quantizedModel({ name: NAME, formats, width: WIDTH }));
    const given = { ...options, candidates: [await candidateOf(file, 'cpu', CONTEXT)], context: CONTEXT, slots: 1 };
    const shared = { ...given, weightsCache: { folder: join(folder, 'weights'), leastBytes: 1 } };
    // The file of the converted weights is the same for both.
    const alone = { ...given, weightsCache: { folder: join(folder, 'weights') } };
    const [, prompt = []] = checkpointNamed(NAME).continuations.map((one) => one.prompt);
    const logitsOf = async (engineOptions: EngineOptions): Promise<unknown> => {
      const bench = new Bench(engineOptions);
      const { tokens } = await bench.run({ prompt, maxTokens: 8, logprobs: IDS });
      bench.engine.close();
      return tokens;
    };
    expect((await open(shared)).progress.map(({ state }) => state)).toEqual(['saving', 'saved', 'mapped']);
    expect(await logitsOf(shared)).toEqual(await logitsOf(alone));
    const [mapping, own] = [await open(shared), await open(alone)];
    expect([mapping, own].map(({ progress }) => progress.map(({ state }) => state))).toEqual([['mapped'], []]);
    for (const engine of [mapping, own]) await engine.generate();
    expect(own.ownBytes - mapping.ownBytes).toBeGreaterThan(0.5 * LEAST_BYTES);
  });
});
