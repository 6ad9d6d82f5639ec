/**
 * Random checkpoints of all families, on the CPU: the generated ids and their log-probabilities equal those of a
 * computation without graph, KV cache and runtime (tools/reference_families.py).
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { EngineOptions } from '../../src/protocol/loading.ts';
import { candidateOf } from '../support/checkpoints/candidate.ts';
import { differenceFrom } from '../support/checkpoints/continuations.ts';
import { writeCheckpoint } from '../support/checkpoints/folder.ts';
import { CHECKPOINTS, type Checkpoint, CONTEXT, checkpointNamed } from '../support/checkpoints/models.ts';
import { digestOf, tensorsOf } from '../support/checkpoints/tensors.ts';
import { Bench } from './harness.ts';

const root = mkdtempSync(join(tmpdir(), 'checkpoints-'));
afterAll(() => rmSync(root, { recursive: true }));

const byName = CHECKPOINTS.map((one) => [one.name, one] as const);

/** The parsed headers of all safetensors files in a folder, and the number of bytes behind each header. */
function headersOf(folder: string) {
  const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  return files.map((name) => {
    const bytes = readFileSync(join(folder, name));
    const length = Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, { data_offsets: number[] }>;
    return { name, header, rest: bytes.length - 8 - length };
  });
}

describe('the maker of random checkpoints', () => {
  it.each(byName)('makes the tensors of %s that the reference computed with', (_, one) => {
    expect(digestOf(tensorsOf(one))).toBe(one.sha256);
  });

  it('writes every tensor into one of three files, without gaps, and names the file in the index', () => {
    const model = checkpointNamed('llama-biases');
    const folder = join(root, 'shards');
    writeCheckpoint(folder, model);
    const index = JSON.parse(readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'));
    const files = headersOf(folder);
    expect(files).toHaveLength(3);
    for (const { name, header, rest } of files) {
      const { __metadata__, ...tensors } = header;
      expect(__metadata__).toEqual({ format: 'pt' });
      const ends = Object.values(tensors).map(({ data_offsets: [begin, end] }) => [begin, end]);
      expect(ends.map(([begin]) => begin)).toEqual([0, ...ends.slice(0, -1).map(([, end]) => end)]);
      expect(ends.at(-1)?.[1]).toBe(rest);
      for (const tensor of Object.keys(tensors)) expect(index.weight_map[tensor]).toBe(name);
    }
    expect(Object.keys(index.weight_map)).toEqual(tensorsOf(model).map(({ name }) => name));
    expect(index.metadata.total_size).toBe(files.reduce((sum, { rest }) => sum + rest, 0));
  });
});

describe('the comparison with the reference', () => {
  const [expected] = checkpointNamed('llama-2').continuations as [Checkpoint['continuations'][number]];
  const tokens = expected.ids.map((id, step) => ({ id, logprob: expected.logprobs[step] as number }));
  const replaced = (step: number, token: Partial<(typeof tokens)[number]>) =>
    tokens.map((one, index) => (index === step ? { ...one, ...token } : one));

  it('accepts the expected ids with rounded log-probabilities', () => {
    expect(differenceFrom(expected, replaced(3, { logprob: tokens[3]!.logprob + 0.0005 }))).toBeUndefined();
  });

  it.each([
    ['another id', replaced(23, { id: 300 }), 'prompt of 1 ids, step 23: id 300'],
    ['another log-probability', replaced(5, { logprob: tokens[5]!.logprob - 0.01 }), 'step 5: log-probability'],
    ['no log-probability', replaced(5, { logprob: Number.NaN }), 'step 5: log-probability NaN'],
    ['an id too few', tokens.slice(0, -1), 'step 23: id undefined'],
    ['an id too many', [...tokens, ...tokens.slice(0, 1)], '25 ids instead of 24'],
  ])('reports %s', (_, found, text) => {
    expect(differenceFrom(expected, found)).toContain(text);
  });
});

describe.each(byName)('%s', (_, model) => {
  /** The differences of all prompts, which run at the same time or wait for a slot. */
  async function differences(overrides: Partial<EngineOptions>): Promise<string[]> {
    const folder = join(root, model.name);
    writeCheckpoint(folder, model);
    const candidates = [await candidateOf(folder, 'cpu', CONTEXT)];
    const bench = new Bench({ candidates, context: CONTEXT, temporaryFolder: root, ...overrides });
    const found = await Promise.all(
      model.continuations.map(async (one) => {
        const { tokens, finish } = await bench.run({ prompt: one.prompt, maxTokens: one.ids.length, logprobs: 0 });
        return 'message' in finish ? finish.message : differenceFrom(one, tokens);
      }),
    );
    bench.engine.close();
    return found.filter((one) => one !== undefined);
  }

  it('generates the ids of the reference for all prompts at once', async () => {
    expect(await differences({ slots: 4 })).toEqual([]);
  });

  it('generates the same ids for each prompt alone', async () => {
    expect(await differences({ slots: 1 })).toEqual([]);
  });

  it('generates the same ids with chunks of 7 ids', async () => {
    expect(await differences({ slots: 3, prefillChunk: 7 })).toEqual([]);
  });
});
