/** The speed of streams with a schema beside streams without one, and of jump-forward, on one worker. */
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, freshPrompt, goal, interleaved, ratios, rounds, section, spread, table } from './measure.mjs';
import { modelConfig, modelFolder } from './models.mjs';
import { startWorker } from './processes.mjs';
import { spelled, tokensOf } from './real-vocabulary.mjs';

const ROUNDS = 7;
const STREAMS = 16;
const PROMPT = 32;
const TOKENS = 64;
/** Every token of this schema has a choice among most of the vocabulary. */
const OPEN = { type: 'array', items: { type: 'string', minLength: 12 }, minItems: 40 };
/** The names are fixed, and the values are short. */
const FIXED = {
  type: 'object',
  properties: Object.fromEntries(
    [
      'identifier',
      'temperature_celsius',
      'relative_humidity',
      'measured_by_station',
      'is_calibrated',
      'quality_of_measurement',
    ].map((name) => [name, { type: 'integer', minimum: 0, maximum: 99 }]),
  ),
  additionalProperties: false,
};
FIXED.required = Object.keys(FIXED.properties);

export async function grammarStreams() {
  const folder = await withRealVocabulary(modelFolder('q4'));
  const flags = ['--model', folder, '--dtype', 'q4', '--context', '256', '--slots', String(STREAMS)];
  const plain = await startWorker([...flags, '--speculation', 'off']);
  const together = await interleaved(rounds(ROUNDS), {
    without: () => totalOf(plain.url, {}),
    with: () => totalOf(plain.url, { schema: OPEN }),
  });
  const jumping = await startWorker([...flags, '--speculation', 'on']);
  const alone = await interleaved(rounds(ROUNDS), {
    plain: () => millisecondsOf(plain.url),
    jumping: () => millisecondsOf(jumping.url),
  });
  await plain.stop();
  await jumping.stop();
  rmSync(folder, { recursive: true });
  const cost = ratios(together.with, together.without);
  const gain = ratios(alone.plain, alone.jumping);
  return section(
    'Streams with a schema',
    [
      `135 M, q4, with the first tokens of the vocabulary cl100k. ${STREAMS} streams of ${TOKENS} tokens, with a schema whose tokens all have a choice, beside streams without one: tokens/s in total. One stream with a schema of fixed names, from the first token to the end: without drafts, and with the tokens that the grammar forces as drafts (jump-forward). The output is the same.`,
      table(
        ['streams', 'without', 'with', 'ratio'],
        [
          [`${STREAMS}, tokens/s, schema`, spread(together.without, 0), spread(together.with, 0), spread(cost, 2)],
          ['1, ms, jump-forward', spread(alone.plain, 0), spread(alone.jumping, 0), spread(gain, 2)],
        ],
      ),
    ],
    [
      goal(`decode with a schema against without, ${STREAMS} streams`, { least: 0.97, unit: '×' }, cost),
      goal('1 stream, jump-forward on a schema of fixed names', { least: 1.2, unit: '×' }, gain),
    ],
  );
}

const body = (prompt) => ({ prompt, raw: true, temperature: 1, seed: 1, max_tokens: TOKENS, min_tokens: TOKENS });

async function totalOf(url, more) {
  const began = performance.now();
  const outcomes = await Promise.all(
    Array.from({ length: STREAMS }, () => ask(url, { ...body(freshPrompt(PROMPT)), ignore_eos: true, ...more })),
  );
  const tokens = outcomes.reduce((sum, { end }) => sum + end.tokens_out, 0);
  if (tokens !== STREAMS * TOKENS) throw new Error(`${tokens} tokens instead of ${STREAMS * TOKENS}`);
  return (tokens * 1000) / (performance.now() - began);
}

/** Milliseconds from the first token to the last one. */
async function millisecondsOf(url) {
  const { end } = await ask(url, {
    prompt: freshPrompt(PROMPT),
    raw: true,
    temperature: 0,
    max_tokens: 128,
    schema: FIXED,
  });
  if (end.stop_reason !== 'eos') throw new Error(`The output ended with ${end.stop_reason}`);
  return end.decode_time_ms;
}

/** A copy of a model's folder, by hard links where possible, with a tokenizer of real tokens. */
async function withRealVocabulary(folder) {
  const copy = mkdtempSync(join(tmpdir(), 'bench-vocabulary-'));
  for (const name of readdirSync(folder, { recursive: true })) {
    const from = join(folder, name);
    if (statSync(from).isDirectory()) mkdirSync(join(copy, name), { recursive: true });
    else if (name !== 'tokenizer.json') {
      mkdirSync(join(copy, name, '..'), { recursive: true });
      linkSync(from, join(copy, name));
    }
  }
  const tokens = await tokensOf('cl100k_base', modelConfig('q4').vocab_size);
  const level = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const vocab = Object.fromEntries(tokens.map((bytes, id) => [spelled(bytes), id]));
  const model = { type: 'BPE', vocab, merges: [], byte_fallback: false };
  const tokenizer = {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: level,
    decoder: level,
    model,
    post_processor: null,
  };
  writeFileSync(join(copy, 'tokenizer.json'), JSON.stringify(tokenizer));
  return copy;
}
