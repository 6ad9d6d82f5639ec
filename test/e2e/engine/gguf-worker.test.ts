/** Workers that serve GGUF files, and a checkpoint that is quantized at load. */
import { cpSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Bench } from '../../engine/harness.ts';
import { quantizedModel, writeModel } from '../../engine/quantized/quantized-model.ts';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { enginePid, runCli } from '../../support/cli.ts';
import { ggufBytes, splitGguf, type TestGguf, type TestValue, writeFiles } from '../../support/gguf/gguf-bytes.ts';
import { pathsIn } from '../../support/hub-models.ts';
import { COMMIT } from '../../support/hub-server.ts';
import { lastOf } from '../../support/listener.ts';
import { all, type StreamEvent, startWorker, type TestWorker } from '../../support/worker.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'gguf-worker-')));
const workers: TestWorker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
});
afterAll(() => rmSync(root, { recursive: true }));

const QUESTION = 'Name a sea.';
/** The template writes this text for the question. */
const RENDERED = `user: ${QUESTION}\nassistant:`;
const TEMPLATE =
  '{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}';
const NEW_TOKENS = 12;
const MODEL = quantizedModel({ name: 'llama-2', formats: { others: 'q4_0', attn_v: 'q5_1', token_embd: 'q6_k' } });

const withKeys = (keys: Readonly<Record<string, TestValue>>): TestGguf => ({
  ...MODEL,
  metadata: {
    ...MODEL.metadata,
    'tokenizer.chat_template': TEMPLATE,
    'tokenizer.ggml.add_bos_token': false,
    ...keys,
  },
});

const flagsOf = (model: string, cache: string): string[] => [
  '--model',
  model,
  '--device',
  'cpu',
  '--context',
  String(CONTEXT),
  '--slots',
  '2',
  '--weights-cache',
  cache,
];

async function serve(
  model: string,
  { cache = join(root, 'weights'), more = [], env = {} }: Serving = {},
): Promise<TestWorker> {
  const worker = await startWorker({ args: [...flagsOf(model, cache), ...more], env });
  workers.push(worker);
  return worker;
}
interface Serving {
  readonly cache?: string;
  readonly more?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const eventsOf = (worker: TestWorker): string[] =>
  worker.lines.map(({ event }) => event).filter((event) => /^weights\.convert(ing|ed)$|^model\.loaded$/.test(event));
const GREEDY = { temperature: 0, max_tokens: NEW_TOKENS, ids: true };
const idsOf = (events: readonly StreamEvent[]): unknown[] =>
  all(events, 'token').flatMap((token) => (token['ids'] as readonly number[]) ?? []);
/** The ids after the rendered question. */
async function idsAfterQuestion(worker: TestWorker): Promise<unknown[]> {
  return idsOf(await worker.execute({ job_id: 'raw', prompt: RENDERED, raw: true, ...GREEDY }));
}

/** The ids of the engine alone. The end id of the file is the first one that is new after two others. */
let ids: readonly number[];
let endId: number;
let file: string;
beforeAll(async () => {
  const endless = writeModel(join(root, 'endless'), withKeys({ 'tokenizer.ggml.eos_token_id': 257 }));
  const candidates = [await candidateOf(endless, 'cpu', CONTEXT)];
  const bench = new Bench({ candidates, context: CONTEXT, temporaryFolder: root });
  ({ ids } = await bench.run({ prompt: [...Buffer.from(RENDERED)], maxTokens: NEW_TOKENS }));
  bench.engine.close();
  endId = ids.find((id, index) => index > 1 && ids.indexOf(id) === index) ?? Number.NaN;
  file = writeModel(join(root, 'model'), withKeys({ 'tokenizer.ggml.eos_token_id': endId }));
});

/** The output before the end id. */
const beforeEnd = (): readonly number[] => ids.slice(0, ids.indexOf(endId));

describe('a GGUF file', () => {
  test('is converted at the first start and mapped at the second, and answers on all routes', async () => {
    const first = await serve(file);
    expect(eventsOf(first)).toEqual(['weights.converting', 'weights.converted', 'model.loaded']);
    const loaded = await first.line('model.loaded');
    expect(String(loaded['exact_weights']).split(', ').sort()).toEqual(['q4_0', 'q5_1', 'q6_k']);
    expect(loaded).not.toHaveProperty('rounded_weights');
    expect(await (await first.get('/health')).json()).toMatchObject({ device: 'cpu', context_length: CONTEXT });

    const events = await first.execute({ job_id: 'prompt', prompt: RENDERED, raw: true, ...GREEDY });
    expect([idsOf(events), lastOf(events)['stop_reason']]).toEqual([beforeEnd(), 'eos']);
    const messages = [{ role: 'user', content: QUESTION }];
    expect(idsOf(await first.execute({ job_id: 'messages', messages, ...GREEDY }))).toEqual(beforeEnd());
    const asked = { model: 'model', messages, temperature: 0, max_tokens: NEW_TOKENS };
    const answer = await (await first.post('/v1/chat/completions', asked)).json();
    expect(answer).toMatchObject({ choices: [{ finish_reason: 'stop', message: { role: 'assistant' } }] });
    expect(answer).toMatchObject({ usage: { prompt_tokens: RENDERED.length } });
    await first.stop();

    const second = await serve(file);
    expect(eventsOf(second)).toEqual(['model.loaded']);
    expect(await second.line('model.loaded')).toMatchObject({ exact_weights: loaded['exact_weights'] });
    expect(await idsAfterQuestion(second)).toEqual(beforeEnd());
  });

  test('is converted at each start with --weights-cache off, and leaves no file', async () => {
    const temporary = join(root, 'temporary');
    mkdirSync(temporary);
    for (let start = 0; start < 2; start++) {
      const worker = await serve(file, { cache: 'off', env: { TMPDIR: temporary } });
      expect(eventsOf(worker)).toEqual(['weights.converting', 'weights.converted', 'model.loaded']);
      expect(await idsAfterQuestion(worker)).toEqual(beforeEnd());
      await worker.stop();
      expect(await pathsIn(temporary)).toEqual([]);
    }
  });

  test('in two parts, named by its first part, gives the same ids', async () => {
    const model = withKeys({ 'tokenizer.ggml.eos_token_id': endId });
    const names = Object.keys(model.tensors ?? {});
    const parts = splitGguf(model, { name: 'small', parts: [names.slice(0, 7), names.slice(7)] });
    await writeFiles(join(root, 'split'), parts);
    const worker = await serve(join(root, 'split', Object.keys(parts)[0] ?? ''));
    expect(await idsAfterQuestion(worker)).toEqual(beforeEnd());
  });

  test('of the hub cache is chosen by its tag', async () => {
    const repository = join(root, 'hub', 'models--org--small');
    const snapshot = join(repository, 'snapshots', COMMIT);
    await writeFiles(join(repository, 'refs'), { main: Buffer.from(COMMIT) });
    mkdirSync(snapshot, { recursive: true });
    cpSync(file, join(snapshot, 'small-Q4_K_M.gguf'));
    writeFileSync(join(snapshot, 'small-Q8_0.gguf'), 'not a model');
    const worker = await serve('org/small:Q4_K_M', { env: { HF_HUB_CACHE: join(root, 'hub') } });
    expect(await idsAfterQuestion(worker)).toEqual(beforeEnd());
  });

  test('that is replaced while it is served is not read by the next engine: the worker ends and says why', async () => {
    const replaced = writeModel(join(root, 'replaced'), withKeys({}));
    const other = quantizedModel({ name: 'llama-2', formats: { others: 'q8_0' } });
    const worker = await serve(replaced);
    renameSync(writeModel(join(root, 'other'), other), replaced);
    process.kill(enginePid(worker), 'SIGKILL');
    expect((await worker.exited).code).toBe(1);
    const { reason } = await worker.line('engine.lost', (line) => line['signal'] === undefined);
    expect(reason).toMatch(/^start the worker again: .*model\.gguf has changed since the worker read its header/);
  });

  test('answers with ask', async () => {
    const question = ['ask', QUESTION, '--temperature', '0', '--', ...flagsOf(file, join(root, 'weights'))];
    const { code, stdout, stderr } = await runCli(question);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/tokens · /)]);
    expect(stdout.trimEnd()).toBe(Buffer.from(beforeEnd()).toString().trimEnd());
  });

  test('that is cut off ends the worker with exit code 1 and a sentence that names it', async () => {
    const broken = join(root, 'broken.gguf');
    const bytes = ggufBytes(MODEL);
    writeFileSync(broken, bytes.subarray(0, bytes.length - 1000));
    const { code, stdout } = await runCli(['serve', '--port', '0', ...flagsOf(broken, join(root, 'weights'))]);
    const lines = stdout.trimEnd().split('\n');
    const problems = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'model.problem');
    expect([code, problems]).toEqual([1, [expect.objectContaining({ file: 'broken.gguf' })]]);
    expect(problems[0].human).toMatch(/broken\.gguf/);
  });

  test('whose weights are no numbers is refused: another file is the way out, because the dtype is that of the file', async () => {
    const nothing = Object.entries(MODEL.tensors ?? {}).map(([name, tensor]) =>
      name === 'output_norm.weight' ? [name, { ...tensor, data: tensor.data?.map(() => 0xff) }] : [name, tensor],
    );
    const wrong = join(root, 'wrong.gguf');
    writeFileSync(wrong, ggufBytes({ ...MODEL, tensors: Object.fromEntries(nothing) }));
    const { code, stdout } = await runCli(['serve', '--port', '0', ...flagsOf(wrong, join(root, 'weights'))]);
    const lines = stdout.trimEnd().split('\n');
    const failed = lines.map((line) => JSON.parse(line)).find(({ event }) => event === 'model.load_failed');
    expect([code, failed?.reason]).toEqual([
      1,
      expect.stringMatching(/^use another file of the model, or another --device: the logit of id \d+ is NaN$/),
    ]);
  });

  const two = { 'one.gguf': ggufBytes(MODEL), 'two.gguf': ggufBytes(MODEL) };
  const others = Object.entries(MODEL.tensors ?? {}).filter(([name]) => name !== 'output_norm.weight');
  test.each<[string, Readonly<Record<string, Uint8Array>>, string, RegExp]>([
    [
      'with an unknown tokenizer',
      { 'a.gguf': ggufBytes(withKeys({ 'tokenizer.ggml.pre': 'unheard-of' })) },
      'a.gguf',
      /^has "tokenizer\.ggml\.pre" "unheard-of"; allowed: /,
    ],
    [
      'without a tensor',
      { 'a.gguf': ggufBytes({ ...MODEL, tensors: Object.fromEntries(others) }) },
      'a.gguf',
      /^lacks the tensor "output_norm\.weight" /,
    ],
    ['that is absent', {}, 'a.gguf', /^does not exist$/],
    ['beside another one', two, '', /^matches 2 models: one\.gguf, two\.gguf\. Use --model .*one\.gguf$/],
  ])('%s is a problem that names the file', async (_, files, name, reason) => {
    const folder = mkdtempSync(join(root, 'problem-'));
    for (const [path, bytes] of Object.entries(files)) writeFileSync(join(folder, path), bytes);
    const { code, stdout } = await runCli(['serve', '--port', '0', ...flagsOf(join(folder, name), join(root, 'none'))]);
    const lines = stdout.trimEnd().split('\n');
    const problems = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'model.problem');
    expect([code, problems]).toEqual([
      1,
      [expect.objectContaining({ file: name || '*.gguf', reason: expect.stringMatching(reason) })],
    ]);
  });
});

test.each([
  ['q8', 1],
  ['q4', 15],
])('a checkpoint of floats is quantized with --dtype %s: model.loaded states how far', async (dtype, percent) => {
  const folder = join(root, 'floats');
  writeCheckpoint(folder, checkpointNamed('llama-linear'));
  const worker = await serve(folder, { more: ['--dtype', dtype] });
  expect(eventsOf(worker)).toEqual(['weights.converting', 'weights.converted', 'model.loaded']);
  const loaded = await worker.line('model.loaded');
  expect(loaded).toMatchObject({ dtype, rounded_weights: expect.stringMatching(/^f32 \([\d.]+ %\)$/) });
  expect(loaded).not.toHaveProperty('exact_weights');
  expect(loaded['weights_difference_percent']).toBeGreaterThan(0);
  expect(loaded['weights_difference_percent']).toBeLessThan(percent);
  expect(idsOf(await worker.execute({ job_id: 'one', prompt: 'ab', raw: true, ...GREEDY }))).toHaveLength(NEW_TOKENS);
});
