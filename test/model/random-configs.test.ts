/** Random configurations: the reader accepts them, or refuses them by file and field. */
import { rm } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { locateModel } from '../../src/model/locate.ts';
import { ModelError } from '../../src/model/problems.ts';
import { readSpec } from '../../src/model/spec.ts';
import { engineRangeOf, isInRange, NEUTRAL_NAMES, SAMPLING } from '../../src/protocol/sampling.ts';
import { sampleSize } from '../support/sample.ts';
import { CONFIG, type Files, GENAI, genaiFolder, modelFolder } from './folders.ts';

const NAMES = [
  'config.json',
  'genai_config.json',
  'generation_config.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.json',
];
const GENERATION = { do_sample: true, temperature: 0.5, top_p: 0.5, top_k: 5, min_p: 0.1, eos_token_id: [2] };
const TOKENS = {
  eos_token: { content: '</s>' },
  model_max_length: 512,
  added_tokens_decoder: { 11: { content: '</s>', special: true }, 20: { content: '<t>' } },
};
/** A problem as the operator reads it. */
const REPORT = new RegExp(
  `^(${[...NAMES, 'tokenizer.json', 'model.onnx'].join('|').replaceAll('.', '\\.')})( or .*)? (is|lacks|has a wrong|cannot be|gives) `,
);

/** All positions in a value, as paths of names. */
function placesOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([name, inner]) => placesOf(inner, [...path, name]))];
}

/** The value with `to` at a path. */
function changed(value: unknown, [name, ...rest]: readonly string[], to: unknown): unknown {
  if (name === undefined) return to;
  const fields: Record<string, unknown> = typeof value === 'object' && value !== null ? { ...value } : {};
  fields[name] = changed(fields[name], rest, to);
  return fields;
}

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(
    null,
    0,
    -1,
    1e308,
    2 ** 53,
    '',
    '..',
    '/',
    '%d%d',
    [],
    {},
    [[]],
    { __proto__: null },
    'x'.repeat(5_000),
  ),
);
/** The valid configuration with up to three values replaced. */
const damaged = (valid: object): fc.Arbitrary<unknown> =>
  fc
    .array(fc.tuple(fc.constantFrom(...placesOf(valid)), odd), { maxLength: 3 })
    .map((changes) => changes.reduce((value: unknown, [place, to]) => changed(value, place, to), valid));

/** Reads a folder with these files, and checks the result or the refusal. */
async function check(make: typeof modelFolder, files: Files): Promise<void> {
  const folder = await make(files);
  try {
    const spec = await readSpec(await locateModel(folder));
    for (const value of [spec.vocabSize, spec.contextLength]) expect(value).toBeGreaterThanOrEqual(1);
    for (const id of spec.eosIds) expect(id >= 0 && id < spec.vocabSize).toBe(true);
    const refused = NEUTRAL_NAMES.filter((name) => !isInRange(spec.sampling[name], engineRangeOf(SAMPLING[name])));
    expect(refused).toEqual([]);
    for (const name of Object.values(spec.names)) expect(name).toMatch(/^.+$/s);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    for (const { file, problem } of error.problems) expect(`${file} ${problem}`).toMatch(REPORT);
  } finally {
    await rm(folder, { recursive: true });
  }
}
const text = (value: unknown): string => JSON.stringify(value) ?? '';

describe('a random configuration', () => {
  const options = { numRuns: sampleSize(100, 20) };

  it('from the hub is read, or refused by file and field', async () => {
    const files = fc.record({
      'config.json': damaged({ ...CONFIG, text_config: CONFIG }).map(text),
      'generation_config.json': damaged(GENERATION).map(text),
      'tokenizer_config.json': damaged(TOKENS).map(text),
      'special_tokens_map.json': damaged({ bos_token: '<s>', additional_special_tokens: ['a', '<t>'] }).map(text),
      'added_tokens.json': damaged({ '<t>': 20, a: 10 }).map(text),
      'chat_template.json': damaged({ chat_template: 'x' }).map(text),
    });
    await fc.assert(
      fc.asyncProperty(files, (all) => check(modelFolder, all)),
      options,
    );
  });

  it('from GenAI is read, or refused by file and field', async () => {
    const config = fc.oneof(damaged(GENAI), fc.jsonValue()).map(text);
    await fc.assert(
      fc.asyncProperty(config, (all) => check(genaiFolder, { 'genai_config.json': all })),
      options,
    );
  });

  it('that is truncated or not JSON is refused', async () => {
    const cut = fc.tuple(
      fc.constantFrom(...NAMES),
      fc.oneof(
        fc.string(),
        fc.nat(400).map((at) => text(GENAI).slice(0, at)),
      ),
    );
    await fc.assert(
      fc.asyncProperty(cut, ([name, content]) => check(genaiFolder, { [name]: content })),
      options,
    );
  });
});
