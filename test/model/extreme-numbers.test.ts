/** Absurd numbers in a model's configuration: the graph counts, or the folder is refused with the field. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { Engine } from '../../src/engine/engine.ts';
import { engineOptions } from '../../src/lifecycle/load-model.ts';
import { embeddedModel } from '../../src/model/folder.ts';
import { locateModel } from '../../src/model/locate.ts';
import { readSpec } from '../../src/model/spec.ts';
import type { EngineFacts } from '../../src/protocol/loading.ts';
import { Bench } from '../engine/harness.ts';
import { problemsIn } from './folders.ts';

let work: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'extreme-'));
});
afterAll(() => rm(work, { recursive: true }));

let folders = 0;
/** A copy of the embedded model with other fields in its files. */
async function changed(changes: Readonly<Record<string, object>>): Promise<string> {
  const folder = join(work, String(++folders));
  await cp(embeddedModel(), folder, { recursive: true });
  for (const [name, fields] of Object.entries(changes)) {
    const file = join(folder, name);
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...fields }));
  }
  return folder;
}

/** Opens the model in this process, as a worker's engine does. */
async function factsOf(folder: string): Promise<EngineFacts> {
  const files = await locateModel(folder);
  const options = engineOptions(readConfig(['--slots', '1', '--speculation', 'off'], {}), files, await readSpec(files));
  const engine = Engine.open(options, () => undefined);
  engine.close();
  return engine.facts;
}

describe('the graph counts', () => {
  it.each([
    ['layers', { num_hidden_layers: 1e9 }],
    ['positions, below the limit of the tokenizer', { max_position_embeddings: 1e15 }],
    ['vocabulary', { vocab_size: 2 ** 31 }],
    ['heads', { num_attention_heads: 2 ** 40, num_key_value_heads: 2 ** 40 }],
    ['width', { hidden_size: 2 ** 40 }],
  ])('whatever the configuration says about its %s', async (_, fields) => {
    expect(await factsOf(await changed({ 'config.json': fields }))).toMatchObject({ vocabSize: 1024, context: 512 });
  });

  it('except for a model whose files allow one token: the message names the fields', async () => {
    await expect(factsOf(await changed({ 'config.json': { max_position_embeddings: 1 } }))).rejects.toThrow(
      'use another model: "max_position_embeddings" or "model_max_length" allows 1 token, and 2 are needed',
    );
  });

  it('with 1 024 ids that end a sequence', async () => {
    const ids = Array.from({ length: 1024 }, (_, id) => id);
    const folder = await changed({ 'generation_config.json': { eos_token_id: ids } });
    expect((await readSpec(await locateModel(folder))).eosIds).toEqual(ids);
    expect(await factsOf(folder)).toMatchObject({ vocabSize: 1024 });
  });
});

it.each([
  { temperature: 1e308 },
  { temperature: 1e308, repetition_penalty: 1e308 },
  { temperature: 1e-308, repetition_penalty: 1e-308 },
])('the sampling defaults %j give tokens of the vocabulary', async (fields) => {
  const folder = await changed({ 'generation_config.json': fields });
  const { sampling } = await readSpec(await locateModel(folder));
  const bench = new Bench();
  try {
    const { ids } = await bench.run({ maxTokens: 8, sampling });
    expect(ids).toHaveLength(8);
    expect(ids.filter((id) => !Number.isInteger(id) || id < 0 || id >= 1024)).toEqual([]);
  } finally {
    bench.engine.close();
  }
});

it.each([
  ['temperature', -1, 'a number from 0 up'],
  ['top_p', 1e308, 'a number from 0 to 1'],
  ['top_k', 1e308, 'a whole number from 0 up'],
  ['repetition_penalty', 0, 'a number above 0'],
  ['min_p', -1e308, 'a number from 0 to 1'],
])('a sampling default %s of %s is ignored, and reported with the allowed values', async (field, value, allowed) => {
  const folder = await changed({ 'generation_config.json': { [field]: value } });
  const { sampling, ignored } = await readSpec(await locateModel(folder));
  expect(ignored).toEqual([{ file: 'generation_config.json', field, value: String(value), allowed }]);
  const others = { temperature: 0.8, top_p: 0.95 };
  const read = await readSpec(
    await locateModel(await changed({ 'generation_config.json': { ...others, [field]: null } })),
  );
  expect(sampling).toEqual(read.sampling);
});

it('a context that no memory holds is as long as the memory of the cache', async () => {
  const folder = await changed({
    'config.json': { max_position_embeddings: 1e15 },
    'tokenizer_config.json': { model_max_length: null },
  });
  const { context, cacheBytesPerToken, cacheBudgetBytes, cacheLimit } = await factsOf(folder);
  expect(cacheLimit).toMatchObject({ cause: 'memory', context: 1e15 });
  expect(context * cacheBytesPerToken).toBeLessThanOrEqual(cacheBudgetBytes);
});

describe('a model is refused', () => {
  it.each([
    ['num_hidden_layers', 2 ** 60],
    ['vocab_size', -1],
    ['max_position_embeddings', 0],
    ['num_attention_heads', 1.5],
    ['hidden_size', 1e308],
  ])('with %s of %s, by the name of the field', async (field, value) => {
    const folder = await changed({ 'config.json': { [field]: value } });
    const problems = await problemsIn(
      folder,
      locateModel(folder).then((files) => readSpec(files)),
    );
    expect(problems).toEqual([expect.stringMatching(`^config\\.json has a wrong "${field}" \\(`)]);
  });
});
