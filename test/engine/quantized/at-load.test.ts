/** Checkpoints of floats that the engine quantizes at load: how far their logits are from those of the floats. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Exactness } from '../../../src/protocol/decoder/conversion.ts';
import type { Candidate } from '../../../src/protocol/loading.ts';
import type { TokenReport } from '../../../src/protocol/messages.ts';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { Bench } from '../harness.ts';
import { Difference } from './difference.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'quantized-at-load-')));
afterAll(() => rmSync(root, { recursive: true }));

/** float32, float16 and bfloat16; tied weights, biases, norms, windows, packed matrices, a width of 60 columns. */
const NAMES = ['llama-linear', 'llama-biases', 'qwen3', 'phi3-short', 'gemma-2', 'mistral', 'smollm3', 'olmo-2'];
const IDS = 258;

/** The scores of the reference outputs, which are the same ids for all forms of the weights. */
async function scoresWith(candidate: Candidate, name: string) {
  const bench = new Bench({ candidates: [candidate], context: CONTEXT, temporaryFolder: root, slots: 1 });
  const scores: TokenReport[] = [];
  for (const { prompt, ids } of checkpointNamed(name).continuations) {
    const before = bench.reports.length;
    await bench.run({ prompt: [...prompt, ...ids], promptLogprobs: IDS, maxTokens: 1 });
    const reports = bench.reports.slice(before).flatMap(({ sequences }) => sequences);
    scores.push(...reports.flatMap(({ promptScores }) => promptScores?.scores ?? []));
  }
  const { conversions = [] } = bench.engine.facts;
  bench.engine.close();
  return { scores, conversions };
}

describe.each(NAMES)('%s', (name) => {
  it.each([
    ['q8', 0.04, 0.01],
    ['q4', 0.6, 0.12],
  ] as const)('in %s', async (quantize, logits, weights) => {
    const folder = join(root, name);
    writeCheckpoint(folder, checkpointNamed(name));
    const candidate = await candidateOf(folder, 'cpu', CONTEXT);
    const expected = await scoresWith(candidate, name);
    const found = await scoresWith({ ...candidate, quantize }, name);
    expect(expected.conversions).toEqual([]);
    const measured = found.conversions.map(({ difference }: Exactness) => difference);
    const difference = new Difference();
    for (const [index, { top }] of found.scores.entries()) {
      const row: number[] = [];
      for (const { id, logprob } of expected.scores[index]?.top ?? []) row[id] = logprob;
      difference.add(top, row);
    }
    console.log(name, quantize, difference.relative, measured, found.scores.length);
    expect(Math.max(...measured)).toBeLessThan(weights);
    expect(difference.relative).toBeLessThan(logits);
  });
});
