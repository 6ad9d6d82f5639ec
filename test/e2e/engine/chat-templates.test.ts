/**
 * Models as found on the hub, whose chat templates or tokenizers have a fault: the worker starts, the log names
 * the fault, and a caller gets an error with the way out.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { runCli } from '../../support/cli.ts';
import { lastOf } from '../../support/listener.ts';
import { all, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

const folder = mkdtempSync(join(tmpdir(), 'templates-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const workers: TestWorker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
});

/** The embedded model with other files: texts, or fields that replace those of a JSON file. */
async function modelWith(name: string, files: Readonly<Record<string, string | object>>): Promise<string> {
  const copy = join(folder, name);
  await cp(embeddedModel(), copy, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    const file = join(copy, path);
    await mkdir(dirname(file), { recursive: true });
    if (typeof content === 'string') await writeFile(file, content);
    else await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...content }));
  }
  return copy;
}

async function workerWith(model: string): Promise<TestWorker> {
  const worker = await startWorker({ args: ['--model', model] });
  workers.push(worker);
  return worker;
}

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly retriable: boolean;
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
}

let jobs = 0;
const post = (worker: TestWorker, body: object): Promise<Response> => {
  jobs += 1;
  return worker.post('/execute', { job_id: `job-${jobs}`, max_tokens: 4, temperature: 0, ...body });
};

/** The error of a request that is refused before its stream. */
async function refusalOf(worker: TestWorker, body: object): Promise<Refusal> {
  const answer = await post(worker, body);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([400, expect.stringContaining('json')]);
  return ((await answer.json()) as { error: Refusal }).error;
}

async function runs(worker: TestWorker, body: object): Promise<void> {
  jobs += 1;
  const events = await worker.execute({ job_id: `job-${jobs}`, max_tokens: 4, temperature: 0, ...body });
  expect(lastOf(events)).toMatchObject({ type: 'end' });
}

const messages = [{ role: 'user', content: 'Write of the sea' }];
const PLAIN = '<|user|>{{ messages[0].content }}<|end|><|assistant|>';

describe('a chat template that cannot be used', () => {
  test.each([
    [
      'unknown-filter',
      { 'tokenizer_config.json': { chat_template: `${PLAIN}{{ messages | frobnicate }}` } },
      /frobnicate/,
    ],
    ['parentheses', { 'chat_template.jinja': `{{ ${'('.repeat(20_000)}a${')'.repeat(20_000)} }}` }, /cannot be parsed/],
    ['open-tags', { 'chat_template.jinja': `{{ a }}${' '.repeat(40_000)}x${'{%'.repeat(50_000)}` }, /cannot be parsed/],
    ['million', { 'chat_template.jinja': 'x'.repeat(1_000_000) }, /has 1000000 bytes; at most 262144 characters/],
    ['not-json', { 'chat_template.json': '{' }, /not valid JSON/],
    [
      'endless',
      { 'chat_template.jinja': `{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}` },
      /rendering takes|strings and lists/,
    ],
  ])('%s: the worker starts, reports it, runs raw prompts, and refuses the others', async (name, files, reason) => {
    const worker = await workerWith(await modelWith(name, files));
    const [file = ''] = Object.keys(files);
    expect(await worker.line('template.unusable')).toMatchObject({
      level: 'WARN',
      file,
      reason: expect.stringMatching(reason),
    });
    await runs(worker, { prompt: 'The sea', raw: true });
    for (const body of [{ messages }, { prompt: 'The sea' }, { prompt: 'The sea', template: 'default' }]) {
      const { code, message, retriable } = await refusalOf(worker, body);
      expect([code, retriable]).toEqual(['TEMPLATE_UNUSABLE', false]);
      expect(message).toMatch(reason);
      expect(message).toMatch(/Send a prompt with raw: true/);
    }
  });

  test('is reported by doctor, whose devices work', async () => {
    const model = await modelWith('doctor', { 'tokenizer_config.json': { chat_template: '{{ frobnicate() }}' } });
    const page = await runCli(['doctor', '--model', model, '--device', 'cpu']);
    expect(page).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^Chat template default in tokenizer_config\.json cannot be used: .+\nPrompts with raw: true/m,
      ),
    });
    const json = await runCli(['doctor', '--model', model, '--device', 'cpu', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      model: { templates: [{ name: 'default', problem: expect.any(String) }], default_template: 'default' },
    });
  }, 60_000);
});

describe('several chat templates', () => {
  test('in a list and in additional_chat_templates are chosen by the field template', async () => {
    const named = (name: string) => ({ name, template: `<|user|>${name} {{ messages[0].content }}<|assistant|>` });
    const model = await modelWith('several', {
      'tokenizer_config.json': { chat_template: [named('chat'), named('tool_use')] },
      'additional_chat_templates/rag.jinja': `${PLAIN}${PLAIN}`,
    });
    const worker = await workerWith(model);
    expect(await worker.line('template.ambiguous')).toMatchObject({ level: 'WARN', templates: 'chat, tool_use, rag' });
    const { code, errors } = await refusalOf(worker, { messages });
    expect([code, errors]).toMatchObject(['INVALID_REQUEST', [{ field: 'template' }]]);
    expect(errors?.[0]?.message).toContain('chat, tool_use, rag');
    for (const template of ['chat', 'tool_use', 'rag']) await runs(worker, { messages, template });
    expect((await refusalOf(worker, { messages, template: 'nope' })).errors).toMatchObject([
      { field: 'template', message: 'template must be one of chat, tool_use, rag, but is "nope"' },
    ]);
    await runs(worker, { prompt: 'The sea', raw: true });
  });
});

describe('a token that the model lacks', () => {
  const beyond = async (): Promise<object> => {
    const { added_tokens: tokens } = JSON.parse(await readFile(join(embeddedModel(), 'tokenizer.json'), 'utf8')) as {
      added_tokens: object[];
    };
    return { added_tokens: [...tokens, { ...tokens[0], id: 1024, content: '<tool>' }] };
  };

  test('is refused before the stream, with its text, its id and the field', async () => {
    const worker = await workerWith(await modelWith('beyond', { 'tokenizer.json': await beyond() }));
    const content = 'use <tool> now';
    const bodies = {
      prompt: [{ prompt: content }, { prompt: content, raw: true }],
      messages: [{ messages: [{ role: 'user', content }] }],
    };
    for (const [field, list] of Object.entries(bodies))
      for (const body of list) {
        const { code, retriable, errors } = await refusalOf(worker, body);
        expect([code, retriable]).toEqual(['INVALID_REQUEST', false]);
        expect(errors).toMatchObject([{ field, message: expect.stringContaining('gives "<tool>", id 1024;') }]);
      }
    await runs(worker, { messages });
  });

  test('in the template itself is reported at the start', async () => {
    const files = { 'tokenizer.json': await beyond(), 'chat_template.jinja': `<tool>${PLAIN}` };
    const worker = await workerWith(await modelWith('beyond-template', files));
    expect(await worker.line('template.unusable')).toMatchObject({
      reason: expect.stringContaining('"<tool>", id 1024'),
    });
    expect(await refusalOf(worker, { messages })).toMatchObject({
      code: 'TEMPLATE_UNUSABLE',
      message: expect.stringContaining('it needs the token "<tool>", id 1024'),
    });
    await runs(worker, { prompt: 'The sea', raw: true });
  });
});

/** A tokenizer like that of Llama 2: a mark for each space, and the first space stripped when ids are decoded. */
function sentencePieceFiles(): Record<string, object> {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, ...'▁abcdefghijklmnopqrstuvwxyz'];
  for (let n = 0; tokens.length < 1024; n += 1) tokens.push(`▁w${n}`);
  const special = tokens.slice(0, 3).map((content, id) => ({ id, content, special: true, normalized: false }));
  return {
    'tokenizer.json': {
      added_tokens: special,
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        ],
      },
      pre_tokenizer: null,
      post_processor: null,
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: {
        type: 'BPE',
        unk_token: '<unk>',
        byte_fallback: true,
        merges: [],
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      },
    },
    'tokenizer_config.json': { chat_template: '{{ messages[0].content }}', added_tokens_decoder: {} },
  };
}

test('the output of a raw prompt continues it with the space of its first word; an answer has no space before it', async () => {
  const model = await modelWith('sentencepiece', sentencePieceFiles());
  const worker = await workerWith(model);
  const tokenizer = await Tokenizer.open({ tokenizerFile: join(model, 'tokenizer.json') });
  const prompt = 'the sea is';
  const ids = await tokenizer.encode(prompt, { addSpecialTokens: true });
  const outputs = { raw: [] as string[], answer: [] as string[] };
  for (let seed = 1; seed <= 8; seed += 1)
    for (const kind of ['raw', 'answer'] as const) {
      jobs += 1;
      const body = {
        job_id: `job-${jobs}`,
        prompt,
        raw: kind === 'raw',
        seed,
        temperature: 1,
        max_tokens: 8,
        logprobs: 0,
      };
      const events = await worker.execute({ ...body, min_tokens: 8 });
      const output = all(events, 'token').flatMap(({ id, earlier = [] }) => [
        ...(earlier as { id: number }[]).map((one) => one.id),
        Number(id),
      ]);
      outputs[kind].push(textOf(events));
      const whole =
        kind === 'raw' ? tokenizer.decode([...ids, ...output]).slice(prompt.length) : tokenizer.decode(output);
      expect(whole.startsWith(textOf(events).replace(/\u{FFFD}$/u, ''))).toBe(true);
    }
  expect(outputs.raw.some((text) => text.startsWith(' w'))).toBe(true);
  expect(outputs.answer.some((text) => text.startsWith('w'))).toBe(true);
  expect(outputs.answer.some((text) => text.startsWith(' w'))).toBe(false);
});
