/** A worker with a checkpoint that it cannot open: one line for each file, and exit code 1. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { fileWith, llamaTensors, safetensorsBytes } from '../../model/checkpoint/safetensors-bytes.ts';
import { runCli } from '../../support/cli.ts';

const RAW = /[^\P{Cc}\n]|[\p{Cf}\p{Co}\u2028\u2029]/u;

/** The embedded model with these weights instead of its own. */
async function folderWith(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = join(await mkdtemp(join(tmpdir(), 'checkpoint-')), 'model');
  await cp(embeddedModel(), folder, { recursive: true });
  await rm(join(folder, 'onnx'), { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

/** Starts a worker. Expects that it reports the problems, one line each, and ends with exit code 1. */
async function expectRefused(folder: string, problems: readonly string[], ...flags: string[]): Promise<void> {
  const { code, stdout } = await runCli(['serve', '--model', folder, '--port', '0', ...flags]);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; file?: string; reason?: string });
  const found = lines.filter(({ event }) => event === 'model.problem').map(({ file, reason }) => `${file} ${reason}`);
  expect([code, found]).toEqual([1, problems]);
  for (const line of stdout.split('\n')) expect(line).not.toMatch(RAW);
}

const EVIL = '\u001b]0;pwned\u0007\u202e';
const evilTensor = { [EVIL]: { dtype: 'F32', shape: [1], data_offsets: [0, 8] } };
const [ONE, TWO] = ['model-1.safetensors', 'model-2.safetensors'];
const indexOf = (map: object): string => JSON.stringify({ metadata: {}, weight_map: map });

test.each<[string, Record<string, string | Uint8Array>, string[]]>([
  [
    'with a length of the header beyond the file',
    { 'model.safetensors': Buffer.alloc(64, 0xff) },
    [
      'model.safetensors is cut off or is not a safetensors file: its first bytes announce a header of 18446744073709551615 bytes, and it has 64 bytes',
    ],
  ],
  [
    'that is cut off',
    { 'model.safetensors': safetensorsBytes(llamaTensors('F32')).subarray(0, -1) },
    [expect.stringMatching(/^model\.safetensors is cut off: it has [\d,]+ of the [\d,]+ bytes that tensor "lm_head/)],
  ],
  [
    'with control characters in a name',
    { 'model.safetensors': fileWith(JSON.stringify(evilTensor), Buffer.alloc(8)) },
    [expect.stringMatching(/^model\.safetensors is damaged: tensor ".*pwned.*" of F32\[1\] has 8 bytes$/)],
  ],
  [
    'whose shards are outside of the folder',
    { 'model.safetensors.index.json': indexOf({ a: '../../etc/x.safetensors' }) },
    [
      expect.stringMatching(
        /^model\.safetensors\.index\.json names the file "\.\.\/\.\.\/etc\/x\.safetensors": allowed/,
      ),
    ],
  ],
  [
    'with two broken shards',
    { 'model.safetensors.index.json': indexOf({ a: ONE, b: TWO }), [ONE]: 'no', [TWO]: fileWith('{"a":') },
    [
      `${ONE} is cut off: it has 2 of the 8 bytes that a safetensors file needs`,
      `${TWO} is damaged: its header is not valid JSON (byte 5)`,
    ],
  ],
  [
    'of an architecture that is not supported',
    {
      'model.safetensors': safetensorsBytes(llamaTensors('BF16')),
      'config.json': JSON.stringify({
        ...{ model_type: 'unheard-of', vocab_size: 1024, max_position_embeddings: 512, num_hidden_layers: 2 },
        ...{ num_attention_heads: 2, hidden_size: 64 },
      }),
    },
    [expect.stringMatching(/^config\.json .*"?unheard-of"?/)],
  ],
])('a checkpoint %s ends the worker with one sentence', async (_, files, problems) => {
  await expectRefused(await folderWith(files), problems);
});

test('a dtype that the checkpoint does not have names the dtype that it has', async () => {
  const folder = await folderWith({ 'model.safetensors': safetensorsBytes(llamaTensors('BF16')) });
  await expectRefused(
    folder,
    [
      'onnx/model_fp16.onnx or model_fp16.onnx is missing (dtype fp16); the folder has model.safetensors (bf16, q8, q4): use --dtype auto',
    ],
    '--dtype',
    'fp16',
  );
});
