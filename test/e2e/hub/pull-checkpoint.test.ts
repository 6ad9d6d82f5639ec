/** `pull` of checkpoints in safetensors: the files that it takes, formats, resumption, and `models` after it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ModelRow } from '../../../src/commands/models/model-rows.ts';
import { llamaTensors, safetensorsBytes } from '../../model/checkpoint/safetensors-bytes.ts';
import { CONFIG } from '../../model/folders.ts';
import { onnxBytes } from '../../onnx/onnx-bytes.ts';
import { runCli } from '../../support/cli.ts';
import { Puller, pathsIn, text, WORDS } from '../../support/hub-models.ts';
import { type HubFile, HubServer } from '../../support/hub-server.ts';

const INDEX = 'model.safetensors.index.json';
const [ONE, TWO] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
const lfs = (bytes: Uint8Array): HubFile => ({ bytes, lfs: true });

/** The tensors of a small Llama in two files. */
const all = Object.entries(llamaTensors('BF16'));
const halves = [all.slice(0, 8), all.slice(8)].map((half) => Object.fromEntries(half));
const weightMap = Object.fromEntries(all.map(([name], at) => [name, at < 8 ? ONE : TWO]));
const shards = halves.map((half) => safetensorsBytes(half ?? {}));
const PARAMETERS = all.reduce((sum, [, { shape }]) => sum + shape.reduce((product, size) => product * size, 1), 0);

/** `CONFIG` is of an ONNX file; a checkpoint needs all sizes. */
const COMPLETE = { ...CONFIG, intermediate_size: 256 };
const WORDS_OF_LLAMA = { ...WORDS, 'config.json': text(JSON.stringify(COMPLETE)) };
const SHARDED: Record<string, HubFile> = {
  ...WORDS_OF_LLAMA,
  [INDEX]: text(JSON.stringify({ metadata: { total_size: 1 }, weight_map: weightMap })),
  [ONE]: lfs(shards[0] ?? new Uint8Array()),
  [TWO]: lfs(shards[1] ?? new Uint8Array()),
  'model-00003-of-00002.safetensors': lfs(new Uint8Array(10)),
  'consolidated.safetensors': lfs(new Uint8Array(10)),
  'adapter_model.safetensors': lfs(new Uint8Array(10)),
};
const NEEDED = [INDEX, ONE, TWO, 'config.json', 'tokenizer.json', 'tokenizer_config.json'].sort();
const SINGLE = { ...WORDS_OF_LLAMA, 'model.safetensors': lfs(safetensorsBytes(llamaTensors('F32'))) };
const BOTH = { ...SINGLE, 'onnx/model_q4.onnx': lfs(onnxBytes()) };

let hub: HubServer;
let me: Puller;
beforeAll(async () => {
  hub = await HubServer.start({
    'org/sharded': { files: SHARDED },
    'org/single': { files: SINGLE },
    'org/both': { files: BOTH },
    'org/stated': { files: SINGLE, info: { safetensors: { parameters: { F32: 1000, I64: 3 }, total: 1003 } } },
    'org/odd': { files: SINGLE, info: { safetensors: { parameters: { '\u001b[31m': 'many' } } } },
  });
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
});

const weightsIn = async (name: string): Promise<string[]> =>
  (await pathsIn(me.snapshot(name))).filter((path) => /\.(?:onnx|safetensors)$/.test(path));

describe('a pull of a checkpoint', () => {
  test('takes the index first, then the files that it names, and no others', async () => {
    const { code, stdout, stderr } = await me.pull(['org/sharded']);
    expect([code, stdout]).toEqual([0, `${me.snapshot('sharded')}\n`]);
    expect(stderr).toMatch(/^Pulling org\/sharded \(c0ffeec0\): 1 file, .*; the index first, because it names the/);
    expect(stderr).toMatch(/\nPulling org\/sharded \(c0ffeec0\): 4 files, .*; the checkpoint: no \.onnx file suits\n/);
    expect(await pathsIn(me.snapshot('sharded'))).toEqual(NEEDED);
    hub.seen.length = 0;
    expect(await me.pull(['org/sharded'])).toEqual({ code: 0, stdout, stderr: '' });
    expect(await me.pull(['org/sharded', '--verify'], { HF_HUB_OFFLINE: '1' })).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^org\/sharded is verified: the checksums of 6 files/),
    });
    expect(NEEDED.flatMap((path) => hub.triesOf(path))).toEqual([]);
  });

  test('continues an interrupted file where it was', async () => {
    const size = SHARDED[TWO]?.bytes.byteLength ?? 0;
    hub.fail(TWO, { cut: Math.floor(size / 2) });
    expect((await me.pull(['org/sharded'])).code).toBe(0);
    expect(hub.triesOf(TWO).map(({ range }) => range)).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
    expect(hub.triesOf(ONE)).toHaveLength(1);
    expect(await pathsIn(me.snapshot('sharded'))).toEqual(NEEDED);
  });

  test.each<[string, string[], string[]]>([
    ['org/both', [], ['onnx/model_q4.onnx']],
    ['org/both', ['--format', 'onnx'], ['onnx/model_q4.onnx']],
    ['org/both', ['--format', 'safetensors'], ['model.safetensors']],
    ['org/both', ['--dtype', 'fp32'], ['model.safetensors']],
    ['org/both', ['--dtype', 'q4'], ['onnx/model_q4.onnx']],
    ['org/both', ['--dtype', 'q8'], ['model.safetensors']],
    ['org/single', ['--device', 'cuda'], ['model.safetensors']],
    ['org/stated', ['--dtype', 'fp32'], ['model.safetensors']],
    ['org/stated', ['--dtype', 'q4'], ['model.safetensors']],
    ['org/odd', [], ['model.safetensors']],
  ])('of %s with %j takes %j', async (name, flags, weights) => {
    expect(await me.pull([name, ...flags])).toMatchObject({ code: 0 });
    expect(await weightsIn(name.slice('org/'.length))).toEqual(weights);
  });

  test('of a format beside another one that the cache has checks the requested one', async () => {
    await me.pull(['org/both']);
    expect(await me.pull(['org/both', '--format', 'safetensors'])).toMatchObject({ code: 0 });
    expect(await weightsIn('both')).toEqual(['model.safetensors', 'onnx/model_q4.onnx']);
  });

  test.each<[string[], number, RegExp]>([
    [
      ['org/single', '--format', 'onnx'],
      1,
      /org\/single has no onnx\/model\*\.onnx and no model\*\.onnx; it has model\.safetensors: use --format safetens/,
    ],
    [
      ['org/single', '--dtype', 'q4f16'],
      1,
      /no weights of dtype q4f16; it has model\.safetensors \(dtype fp32, fp16, bf16, q8, q4\)/,
    ],
    [
      ['org/single', '--dtype', 'bf16'],
      1,
      /is missing \(dtype bf16\); the folder has model\.safetensors \(fp32, q8, q4\)/,
    ],
    [
      ['org/stated', '--dtype', 'bf16'],
      1,
      /no weights of dtype bf16; it has model\.safetensors \(dtype fp32, q8, q4\)\./,
    ],
    [['org/single', '--format', 'gguf'], 2, /pull: --format "gguf" is not allowed; allowed: onnx, safetensors, auto/],
  ])('%j fails with exit code %i and the reason', async (args, code, reason) => {
    const run = await me.pull(args);
    expect([run.code, run.stdout]).toEqual([code, '']);
    expect(run.stderr).toMatch(reason);
  });

  test.each<[string, object | string, RegExp]>([
    [
      'leads out',
      { weight_map: { a: '../../x.safetensors' } },
      /index\.json names the file "\.\.\/\.\.\/x\.safetensors"/,
    ],
    [
      'names a missing file',
      { weight_map: { a: 'gone.safetensors' } },
      /org\/bad has no gone\.safetensors: the worker/,
    ],
    ['is no JSON', '{"weight_map"', /index\.json is not valid JSON/],
  ])('with an index that %s downloads no weights', async (_, index, reason) => {
    const content = typeof index === 'string' ? index : JSON.stringify(index);
    hub.put('org/bad', { files: { ...SHARDED, [INDEX]: text(content) } });
    expect(await me.pull(['org/bad'])).toMatchObject({ code: 1, stderr: expect.stringMatching(reason) });
    expect(await weightsIn('bad')).toEqual([]);
  });
});

test.each<[string, object, RegExp]>([
  ['type', { model_type: 'unheard-of' }, /config\.json has "model_type" "unheard-of"; allowed: llama, .*ONNX export/],
  ['quantization', { quantization_config: { quant_method: 'fp8' } }, /with the method "fp8"; allowed: weights without/],
])('a pull of a model whose %s no worker runs downloads no weights', async (_, fields, reason) => {
  const config = text(JSON.stringify({ ...CONFIG, ...fields }));
  hub.put('org/strange', { files: { ...SINGLE, 'config.json': config } });
  expect(await me.pull(['org/strange'])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(reason) });
  expect(await weightsIn('strange')).toEqual([]);
});

test('models lists a checkpoint with its format, dtype, size, and the memory of its widened weights', async () => {
  await me.pull(['org/sharded']);
  const environment = { env: me.environment() };
  const table = await runCli(['models'], environment);
  expect(table.stdout).toMatch(/^org\/sharded +safetensors bf16 +\d+ kB +\S+ ago +[\d.]+ MB +yes$/m);
  const rows = JSON.parse((await runCli(['models', '--json'], environment)).stdout) as ModelRow[];
  expect(rows.find(({ name }) => name === 'org/sharded')).toMatchObject({
    ...{ format: 'safetensors', formats: ['safetensors'], dtypes: ['bf16'], dtype: 'bf16', runnable: true },
    memory: { weights_bytes: 4 * PARAMETERS, cache_bytes: 2 * 2 * 4 * 16 * 4 * 2048, fits: true },
    command: ['rbees-workerd', 'serve', '--model', 'org/sharded'],
  });
});

test('models names the reason why a checkpoint cannot run', async () => {
  const config = text(JSON.stringify({ ...COMPLETE, unheard_of: 1 }));
  hub.put('org/strange', { files: { ...SINGLE, 'config.json': config } });
  await me.pull(['org/strange']);
  const { stdout } = await runCli(['models'], { env: me.environment() });
  expect(stdout).toMatch(/^org\/strange +safetensors +.* cannot run$/m);
  expect(stdout).toMatch(/^org\/strange: config\.json .*unheard_of/m);
});
