/** `pull` of GGUF models by tag, by file and by format: the files that it takes, and `models` after it. */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ModelRow } from '../../../src/commands/models/model-rows.ts';
import { safetensorsBytes, llamaTensors as safetensorsOf } from '../../model/checkpoint/safetensors-bytes.ts';
import { runCli } from '../../support/cli.ts';
import { ggufBytes, splitGguf } from '../../support/gguf/gguf-bytes.ts';
import { llamaTensors, smallLlama } from '../../support/gguf/small-llama.ts';
import { Puller, pathsIn, text, WORDS } from '../../support/hub-models.ts';
import { type HubFile, HubServer } from '../../support/hub-server.ts';

const lfs = (bytes: Uint8Array): HubFile => ({ bytes, lfs: true });
const MODEL = smallLlama();
const [Q8, Q4] = [
  ggufBytes(MODEL),
  ggufBytes({ ...smallLlama({ 'general.file_type': 2 }), tensors: llamaTensors('q4_0') }),
];
const NAMES = Object.keys(MODEL.tensors ?? {});
const PARTS = Object.entries(splitGguf(MODEL, { name: 'm-Q6_K', parts: [NAMES.slice(0, 9), NAMES.slice(9)] }));
const SPLIT = Object.fromEntries(PARTS.map(([name, bytes]) => [`Q6_K/${name}`, lfs(bytes)]));
const FILES: Record<string, HubFile> = {
  'README.md': text('# Not needed'),
  'config.json': text('{}'),
  'm-Q8_0.gguf': lfs(Q8),
  'm-Q4_0.gguf': lfs(Q4),
  'mmproj-m-F16.gguf': lfs(Q8),
  ...SPLIT,
};
const [ONE = '', TWO = ''] = Object.keys(SPLIT);

let hub: HubServer;
let me: Puller;
beforeAll(async () => {
  hub = await HubServer.start({
    'org/gguf': { files: FILES },
    'org/both': {
      files: { ...WORDS, 'model.safetensors': lfs(safetensorsBytes(safetensorsOf('F32'))), 'm-Q8_0.gguf': lfs(Q8) },
    },
    'org/odd': { files: { 'm-Q8_0.gguf': lfs(Q8), 'm:Q4_0.gguf': lfs(Q4), '../m-Q6_K.gguf': lfs(Q4) } },
  });
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
});

describe('a pull of a GGUF model', () => {
  test.each<[string[], string[]]>([
    [['org/gguf:q8_0'], ['m-Q8_0.gguf']],
    [['org/gguf/m-Q8_0.gguf'], ['m-Q8_0.gguf']],
    [['org/gguf'], ['m-Q4_0.gguf']],
    [['org/gguf', '--format', 'gguf'], ['m-Q4_0.gguf']],
    [['org/gguf:Q6_K'], [ONE, TWO]],
    [[`org/gguf/${TWO}`], [ONE, TWO]],
    [['org/both:Q8_0'], ['tokenizer.json', 'tokenizer_config.json', 'm-Q8_0.gguf']],
    [
      ['org/both', '--format', 'gguf'],
      ['tokenizer.json', 'tokenizer_config.json', 'm-Q8_0.gguf'],
    ],
    [['org/odd'], ['m-Q8_0.gguf']],
  ])('%j takes %j', async (args, paths) => {
    const folder = me.snapshot(/^org\/(\w+)/.exec(args[0] ?? '')?.[1] ?? '');
    const file = paths.find((path) => path.endsWith('.gguf')) ?? '';
    expect(await me.pull(args)).toMatchObject({ code: 0, stdout: `${join(folder, file)}\n` });
    expect(await pathsIn(folder)).toEqual([...paths].sort());
    expect(await me.pull(args)).toEqual({ code: 0, stdout: `${join(folder, file)}\n`, stderr: '' });
    expect(await me.pull([...args, '--verify'], { HF_HUB_OFFLINE: '1' })).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(`is verified: the checksums of ${paths.length} file`),
    });
  });

  test('without its tag in the cache is refused offline with the tags of the cache', async () => {
    await me.pull(['org/gguf:Q8_0']);
    expect(await me.pull(['org/gguf:Q4_0'], { HF_HUB_OFFLINE: '1' })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /HF_HUB_OFFLINE is set\. In the hub cache, org\/gguf has no .* tag Q4_0; it has Q8_0/,
      ),
    });
  });

  test('continues an interrupted part, and finds a damaged one', async () => {
    const size = SPLIT[TWO]?.bytes.byteLength ?? 0;
    // The first request is for the header.
    hub.fail(TWO, 'no range', { cut: Math.floor(size / 2) });
    expect((await me.pull(['org/gguf:Q6_K'])).code).toBe(0);
    expect(hub.triesOf(TWO).map(({ range }) => range)).toEqual([
      `bytes=0-${size - 1}`,
      undefined,
      expect.stringMatching(/^bytes=[1-9]\d*-$/),
    ]);
    hub.fail(TWO, 'no range', 'wrong bytes', 'wrong bytes');
    const other = await Puller.at(hub);
    expect(await other.pull(['org/gguf:Q6_K'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('arrived damaged twice'),
    });
  });

  test.each<[string[], number, RegExp]>([
    [['org/gguf:Q5_K_M'], 1, /org\/gguf has no GGUF file with the tag Q5_K_M; it has Q6_K, Q4_0, Q8_0\./],
    [['org/gguf/x.gguf'], 1, /org\/gguf has no GGUF model x\.gguf; it has Q6_K, Q4_0, Q8_0\./],
    [['org/gguf:Q8_0', '--format', 'onnx'], 1, /org\/gguf:Q8_0 names a GGUF file: use --format gguf/],
    [['org/gguf:Q8_0', '--device', 'coreml'], 1, /does not run on coreml: use --device cpu, webgpu or cuda/],
    [['org/gguf:Q8_0', '--dtype', 'q4'], 1, /m-Q8_0\.gguf has the dtype q8_0, which --dtype q4 does not change/],
    [['org/gguf:'], 2, /pull: "org\/gguf:" is not allowed; allowed: .*org\/name:<quantization tag>/],
  ])('%j is refused, and nothing is downloaded', async (args, code, reason) => {
    expect(await me.pull(args)).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(reason) });
    expect(await pathsIn(me.home)).toEqual([]);
  });
});

describe('the header of a GGUF model', () => {
  const bytesSentOf = (path: string): (string | undefined)[] => hub.triesOf(path).map(({ range }) => range);

  test.each<[string, Uint8Array, RegExp]>([
    [
      'architecture',
      ggufBytes(smallLlama({ 'general.architecture': 'unheard-of' })),
      /unheard-of|general\.architecture/,
    ],
    [
      'type of tensors',
      ggufBytes({ ...MODEL, tensors: { ...llamaTensors(), x: { type: 16, shape: [256] } } }),
      /IQ2_XXS/,
    ],
    ['format', Buffer.alloc(100, 1), /m-Q8_0\.gguf is not a GGUF file/],
  ])('with a wrong %s is refused before the download', async (_, bytes, reason) => {
    hub.put('org/strange', { files: { 'm-Q8_0.gguf': lfs(bytes) } });
    expect(await me.pull(['org/strange'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(reason),
    });
    expect(await pathsIn(me.home)).toEqual([]);
    expect(bytesSentOf('m-Q8_0.gguf')).toEqual([`bytes=0-${bytes.length - 1}`]);
  });

  test('in the second part of a set is checked too', async () => {
    hub.put('org/mixed', { files: { [ONE]: SPLIT[ONE] ?? lfs(Q8), [TWO]: lfs(Q8) } });
    expect(await me.pull(['org/mixed'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/00002-of-00002\.gguf/),
    });
    expect(await pathsIn(me.home)).toEqual([]);
  });

  test('of several chunks is read in order, also after a broken connection', async () => {
    const large = ggufBytes(smallLlama({ 'general.description': 'x'.repeat(5 * 2 ** 20) }));
    hub.put('org/large', { files: { 'm-Q8_0.gguf': lfs(large) } });
    hub.fail('m-Q8_0.gguf', { cut: 1000 });
    expect((await me.pull(['org/large'])).code).toBe(0);
    const [first, again, second, download] = bytesSentOf('m-Q8_0.gguf');
    expect([first, again]).toEqual(['bytes=0-4194303', 'bytes=0-4194303']);
    expect(second).toMatch(/^bytes=[1-9]\d*-\d+$/);
    expect(download).toBeUndefined();
  });

  test('is not checked if the hub sends no ranges: the file is checked after the download', async () => {
    const large = ggufBytes(
      smallLlama({ 'general.description': 'x'.repeat(5 * 2 ** 20), 'general.architecture': 'unheard-of' }),
    );
    hub.put('org/rangeless', { files: { 'm-Q8_0.gguf': lfs(large) } });
    hub.fail('m-Q8_0.gguf', 'no range', 'no range', 'no range');
    expect(await me.pull(['org/rangeless'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/m-Q8_0\.gguf.*general\.architecture/),
    });
    expect(await pathsIn(me.snapshot('rangeless'))).toEqual(['m-Q8_0.gguf']);
  });
});

test('models lists each pulled GGUF model with its tag, size and memory, and its command', async () => {
  await me.pull(['org/gguf:Q8_0']);
  await me.pull(['org/gguf:Q6_K']);
  const environment = { env: me.environment() };
  const rows = (JSON.parse((await runCli(['models', '--json'], environment)).stdout) as ModelRow[]).slice(1);
  const common = { format: 'gguf', formats: ['gguf'], runnable: true };
  expect(rows).toMatchObject([
    { ...common, name: 'org/gguf:Q6_K', folder: join(me.snapshot('gguf'), ONE) },
    { ...common, name: 'org/gguf:Q8_0', dtypes: ['q8_0'], dtype: 'q8_0', disk_bytes: Q8.length },
  ]);
  expect(rows[0]?.disk_bytes).toBe(PARTS.reduce((sum, [, bytes]) => sum + bytes.length, 0));
  expect(rows[1]?.command).toEqual(['rbees-workerd', 'serve', '--model', 'org/gguf:Q8_0']);
  expect(rows[1]?.memory?.weights_bytes).toBeGreaterThan(0);
  const { stdout } = await runCli(['models'], environment);
  expect(stdout).toMatch(/^org\/gguf:Q8_0 +gguf q8_0 +[\d.]+ kB +\S+ ago +[\d.]+ MB +yes$/m);
});
