/**
 * Model folders as they are on the hub: numbers of Python and byte-order marks, tokens in only one of several
 * files, no end of a sequence, sampling defaults out of range, no context length.
 */
import { afterAll, afterEach, expect, test } from 'vitest';
import { lastOf } from '../../support/listener.ts';
import { type Change, type Fields, ModelVariants } from '../../support/model-variants.ts';
import { all, startWorker, TestWorker, textOf } from '../../support/worker.ts';

const variants = new ModelVariants();
afterAll(() => variants.remove());
const workers: TestWorker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
});

async function workerWith(
  changes: Readonly<Record<string, Change>>,
  args: readonly string[] = [],
  start: (options: { args: readonly string[] }) => Promise<TestWorker> = startWorker,
): Promise<TestWorker> {
  const worker = await start({ args: ['--model', await variants.copy(changes), '--slots', '1', ...args] });
  workers.push(worker);
  return worker;
}

const PROMPT = { prompt: 'Write a haiku about the sea.', seed: 7, max_tokens: 60 };
const WARNINGS = ['model.field_ignored', 'model.tokens_differ', 'model.no_end'];
const warningsOf = (worker: TestWorker): string[] =>
  worker.lines.filter(({ event }) => WARNINGS.includes(event)).map(({ event }) => event);

/** The text and the last event of the same request on a worker. */
async function outputOf(worker: TestWorker): Promise<[string, unknown, unknown]> {
  const events = await worker.execute({ job_id: 'one', ...PROMPT });
  const { tokens_in, stop_reason } = all(events, 'end')[0] ?? {};
  return [textOf(events), tokens_in, stop_reason];
}

/** The output of the embedded model without changes. */
const expected = (async () => {
  const worker = await startWorker({ args: ['--slots', '1'] });
  try {
    expect(warningsOf(worker)).toEqual([]);
    return await outputOf(worker);
  } finally {
    await worker.kill();
  }
})();

const MARK = '\ufeff';
const withPython = (text: string): string => `${MARK}${text.trimEnd().slice(0, -1)}, "limits": [0.0, Infinity, NaN]}`;

test('numbers of Python and byte-order marks in every file change nothing', async () => {
  const worker = await workerWith({
    'config.json': withPython,
    'generation_config.json': withPython,
    'tokenizer.json': withPython,
    'tokenizer_config.json': (text) =>
      withPython(text.replace('"model_max_length": 512', '"model_max_length": Infinity')),
    'special_tokens_map.json': withPython,
  });
  expect(await outputOf(worker)).toEqual(await expected);
  expect(warningsOf(worker)).toEqual([]);
});

test('special tokens that only special_tokens_map.json names are in the prompt', async () => {
  const none = { bos_token: undefined, eos_token: undefined, pad_token: undefined, added_tokens_decoder: undefined };
  const worker = await workerWith({ 'tokenizer_config.json': none });
  expect(await outputOf(worker)).toEqual(await expected);
});

/** tokenizer.json without two tokens of the template: neither added tokens nor in the vocabulary. */
const withoutRoles: Change = (text) => {
  const { added_tokens, model, ...fields } = JSON.parse(text) as {
    added_tokens: { content: string }[];
    model: { vocab: Fields };
  };
  const { '<|user|>': _, '<|assistant|>': __, ...vocab } = model.vocab;
  const kept = added_tokens.filter(({ content }) => !/user|assistant/.test(content));
  return JSON.stringify({ ...fields, added_tokens: kept, model: { ...model, vocab } });
};

test.each<[string, Record<string, Change>]>([
  ['added_tokens_decoder', { 'tokenizer.json': withoutRoles }],
  [
    'added_tokens.json',
    {
      'tokenizer.json': withoutRoles,
      'tokenizer_config.json': { added_tokens_decoder: undefined },
      'added_tokens.json': { '<|user|>': 1, '<|assistant|>': 2 },
    },
  ],
])('tokens that only %s has are one id each in the prompt, on the thread too', async (_, changes) => {
  const worker = await workerWith(changes);
  expect(await outputOf(worker)).toEqual(await expected);
  expect(warningsOf(worker)).toEqual([]);
  // Too long for the event loop: the thread's tokenizer counts the tokens.
  const prompt = '<|user|>'.repeat(400);
  const events = await worker.execute({ job_id: 'long', prompt, max_tokens: 1 });
  expect(all(events, 'end')[0]).toMatchObject({ tokens_in: 404 });
});

test('files that differ about a token are reported once, with both values and the one that is used', async () => {
  const worker = await workerWith({ 'special_tokens_map.json': { bos_token: '<|user|>' } });
  expect(await outputOf(worker)).toEqual(await expected);
  expect(warningsOf(worker)).toEqual(['model.tokens_differ']);
  expect(await worker.line('model.tokens_differ')).toMatchObject({
    level: 'WARN',
    files: 'tokenizer_config.json, special_tokens_map.json',
    differences: 1,
    details: 'bos_token is "<|bos|>" in tokenizer_config.json (used) and "<|user|>" in special_tokens_map.json',
  });
});

const noEnd = {
  'config.json': { eos_token_id: null },
  'generation_config.json': { eos_token_id: null },
  'tokenizer_config.json': { eos_token: null },
  'special_tokens_map.json': { eos_token: undefined },
};

test('without an end of a sequence in any file, outputs end at the token that ends an answer in the template', async () => {
  const worker = await workerWith(noEnd);
  expect(await outputOf(worker)).toEqual(await expected);
  expect((await expected)[2]).toBe('eos');
  expect(await worker.line('model.no_end')).toMatchObject({ level: 'WARN', end_token: '<|end|>', end_id: 3 });
});

test('without an end of a sequence, a text in place of a special token is no end', async () => {
  const chat_template =
    "{{ '<|bos|>' }}{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}<|user|>";
  const worker = await workerWith({ ...noEnd, 'tokenizer_config.json': { eos_token: null, chat_template } });
  const line = await worker.line('model.no_end');
  expect(line).toMatchObject({ level: 'WARN', human: expect.stringMatching(/^Add eos_token_id to generation_config/) });
  expect(line).not.toHaveProperty('end_id');
  expect(lastOf(await worker.execute({ job_id: 'one', ...PROMPT, max_tokens: 30 }))).toMatchObject({
    type: 'end',
    stop_reason: 'max_tokens',
  });
});

test('a top_k of -1 is off, a default out of range is ignored with its name, and a head_dim needs no hidden_size', async () => {
  const worker = await workerWith({
    'generation_config.json': { top_k: -1, repetition_penalty: -2 },
    'config.json': { hidden_size: undefined },
  });
  expect(await outputOf(worker)).toEqual(await expected);
  expect(warningsOf(worker)).toEqual(['model.field_ignored']);
  expect(await worker.line('model.field_ignored')).toMatchObject({
    level: 'WARN',
    file: 'generation_config.json',
    field: 'repetition_penalty',
    value: '-2',
    reason: 'allowed: a number above 0',
  });
});

test('a model without a context length takes that of --context, and is refused without the setting', async () => {
  const changes = { 'config.json': { max_position_embeddings: undefined } };
  const worker = await workerWith(changes, ['--context', '200']);
  expect(await worker.line('cache.reserved')).toMatchObject({ context_length: 200 });
  expect(await outputOf(worker)).toEqual(await expected);
  const refused = await workerWith(changes, [], async (options) => new TestWorker(options));
  expect(await refused.line('model.problem')).toMatchObject({
    file: 'config.json',
    reason: expect.stringContaining('lacks "max_position_embeddings": set --context'),
  });
  expect(await refused.exited).toEqual({ code: 1, signal: null });
});

test('a new token whose id belongs to another text refuses the model, with the file and both texts', async () => {
  const added_tokens_decoder = { 500: { content: '<|tool|>', special: true } };
  const worker = await workerWith(
    { 'tokenizer_config.json': { added_tokens_decoder } },
    [],
    async (options) => new TestWorker(options),
  );
  expect(await worker.line('model.problem')).toMatchObject({
    level: 'ERROR',
    file: 'tokenizer_config.json',
    reason: expect.stringMatching(/^gives "<\|tool\|>" the id 500, which is ".*" in tokenizer\.json/),
  });
  expect(await worker.exited).toEqual({ code: 1, signal: null });
});
