/**
 * Runs of several tokens of one row on the graphs of checkpoints: drafts, scores of a prompt, continued sequences.
 * Such a graph takes lengths instead of a mask, and cuts off all positions but the last ones itself.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { EngineOptions } from '../../src/protocol/loading.ts';
import { candidateOf } from '../support/checkpoints/candidate.ts';
import { differenceFrom } from '../support/checkpoints/continuations.ts';
import { writeCheckpoint } from '../support/checkpoints/folder.ts';
import { CONTEXT, checkpointNamed } from '../support/checkpoints/models.ts';
import { Bench, equalCosts } from './harness.ts';

const root = mkdtempSync(join(tmpdir(), 'checkpoint-runs-'));
afterAll(() => rmSync(root, { recursive: true }));

/** Padded heads, a window, norms of heads, softcaps, a window in layers without positions. */
const NAMES = ['llama-head-24', 'mistral', 'qwen3', 'gemma-2', 'smollm3-interval'];

describe.each(NAMES)('%s', (name) => {
  const { continuations } = checkpointNamed(name);

  async function open(overrides: Partial<EngineOptions> = {}): Promise<Bench> {
    const folder = join(root, name);
    writeCheckpoint(folder, checkpointNamed(name));
    const candidates = [await candidateOf(folder, 'cpu', CONTEXT)];
    return new Bench({ candidates, context: CONTEXT, slots: 2, ...overrides });
  }

  it.each([7, 'auto'] as const)('scores a prompt as the reference, in chunks: %s', async (prefillChunk) => {
    const bench = await open({ prefillChunk });
    for (const { prompt, ids, logprobs } of continuations) {
      const before = bench.reports.length;
      await bench.run({ prompt: [...prompt, ...ids], promptLogprobs: 0, maxTokens: 1 });
      const reports = bench.reports.slice(before).flatMap(({ sequences }) => sequences);
      const scores = reports.flatMap(({ promptScores }) => promptScores?.scores ?? []);
      const found = scores.slice(prompt.length - 1);
      expect(differenceFrom({ prompt, ids, logprobs }, found)).toBeUndefined();
    }
    bench.engine.close();
  });

  it('continues an output as the reference', async () => {
    const bench = await open();
    for (const { prompt, ids, logprobs } of continuations) {
      const { tokens } = await bench.run({ prompt, continued: ids.slice(0, 9), maxTokens: ids.length, logprobs: 0 });
      expect(differenceFrom({ prompt, ids: ids.slice(9), logprobs: logprobs.slice(9) }, tokens)).toBeUndefined();
    }
    bench.engine.close();
  });

  describe('with drafts', () => {
    equalCosts();

    it('generates the ids and log-probabilities of single steps', async () => {
      const [plain, drafting] = [await open(), await open({ speculation: 'auto' })];
      const drafts = { drafted: 0, accepted: 0 };
      for (const { prompt } of continuations.slice(1, 3)) {
        const repeated = [prompt, prompt, prompt].flat();
        const asked = { prompt: repeated, maxTokens: CONTEXT - repeated.length, logprobs: 0 };
        const [{ ids, tokens }, found] = [await plain.run(asked), await drafting.run(asked)];
        const logprobs = tokens.map(({ logprob = Number.NaN }) => logprob);
        expect(differenceFrom({ prompt: repeated, ids, logprobs }, found.tokens)).toBeUndefined();
        drafts.drafted += found.finish.drafted;
        drafts.accepted += found.finish.accepted;
      }
      for (const { engine } of [plain, drafting]) engine.close();
      expect(drafts.accepted).toBeGreaterThan(0);
      expect(drafts.drafted).toBeGreaterThan(drafts.accepted);
    });
  });
});
