/** Damaged files of the cache: `pull --verify`, the check of small files, links that lead out, and offline. */
import { mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { LARGE, Puller, WEIGHTS, WEIGHTS_FILE } from '../../support/hub-models.ts';
import { HubServer, sha256 } from '../../support/hub-server.ts';

let hub: HubServer;
let me: Puller;
beforeAll(async () => {
  hub = await HubServer.start({ 'org/large': { files: LARGE } });
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
  expect((await me.pull(['org/large'])).code).toBe(0);
  hub.seen.length = 0;
});

const at = (path: string): string => join(me.snapshot('large'), path);

/** Changes one byte of a file, and keeps its size. A change of the last byte leaves a graph that can be read. */
async function damage(path: string, byte = -1): Promise<void> {
  const bytes = await readFile(at(path));
  const place = byte < 0 ? bytes.length + byte : byte;
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  await writeFile(await realpath(at(path)), bytes);
}

async function expectWhole(): Promise<void> {
  for (const [path, { bytes }] of Object.entries(LARGE))
    if (path !== 'README.md') expect(Buffer.compare(await readFile(at(path)), bytes)).toBe(0);
}

test('pull --verify checks all files, and downloads only the damaged ones again', async () => {
  const intact = await me.pull(['org/large', '--verify']);
  expect(intact).toMatchObject({
    code: 0,
    stderr: 'org/large is verified: the checksums of 4 files (2.00 MB) are right\n',
  });
  expect(hub.triesOf(WEIGHTS_FILE)).toEqual([]);
  await damage(WEIGHTS_FILE);
  await damage('tokenizer.json');
  expect(await me.pull(['org/large', '--verify'])).toMatchObject({
    code: 0,
    stdout: `${me.snapshot('large')}\n`,
    stderr: expect.stringMatching(
      new RegExp(
        `^tokenizer\\.json is damaged: its checksum is not [0-9a-f]{40}\\. It is downloaded again\n${WEIGHTS_FILE} is damaged: its checksum is not ${sha256(WEIGHTS)}\\. It is downloaded again\nPulling org/large \\(c0ffeec0\\): 2 files, 2\\.00 MB; [^]+\norg/large is verified: the checksums of 4 files \\(2\\.00 MB\\) are right\n$`,
      ),
    ),
  });
  expect([hub.triesOf(WEIGHTS_FILE).length, hub.triesOf('config.json').length]).toEqual([1, 0]);
  await expectWhole();
});

test('pull checks small files by itself, and large ones only with --verify', async () => {
  await damage('tokenizer.json');
  await damage(WEIGHTS_FILE);
  expect(await me.pull(['org/large'])).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(
      /^tokenizer\.json is damaged: [^\n]+\nPulling org\/large \(c0ffeec0\): 1 file, 12 B;/,
    ),
  });
  expect(hub.triesOf(WEIGHTS_FILE)).toEqual([]);
  expect((await me.pull(['org/large', '--verify'])).code).toBe(0);
  await expectWhole();
});

test('pull --verify repairs copies too, where the cache has no links', async () => {
  const plain = { HF_HUB_DISABLE_SYMLINKS: '1' };
  const other = await Puller.at(hub);
  await other.pull(['org/large'], plain);
  const weights = join(other.snapshot('large'), WEIGHTS_FILE);
  await rm(weights);
  await writeFile(weights, new Uint8Array(WEIGHTS.length));
  expect((await other.pull(['org/large', '--verify'], plain)).code).toBe(0);
  expect(Buffer.compare(await readFile(weights), WEIGHTS)).toBe(0);
  expect(await other.pull(['org/large', '--verify'], { ...plain, HF_HUB_OFFLINE: '1' })).toMatchObject({
    code: 0,
    stderr:
      'org/large is verified: the checksums of 0 files (0 B) are right; 4 files cannot be checked without the hub: they are copies\n',
  });
});

test.each([
  ['the weights', -1],
  ['the graph, which cannot be read then', 0],
])(
  'pull --verify offline checks what the names of the blobs state, and names the damaged files: %s',
  async (_, byte) => {
    const offline = { HF_HUB_OFFLINE: '1' };
    expect(await me.pull(['org/large', '--verify'], offline)).toMatchObject({
      code: 0,
      stderr: 'org/large is verified: the checksums of 4 files (2.00 MB) are right\n',
    });
    await damage('tokenizer.json');
    await damage(WEIGHTS_FILE, byte);
    const { code, stdout, stderr } = await me.pull(['org/large', '--verify'], offline);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^rbees-workerd: org\/large is damaged: the checksum of tokenizer\.json, (?:the weights .*\/blobs\/[0-9a-f]{64}|onnx\/model_q4\.onnx) is wrong\. Unset HF_HUB_OFFLINE and run pull --verify again\.\n$/,
    );
    expect(hub.seen).toEqual([]);
  },
);

test('a link that leads out of the cache is replaced by the file of the hub', async () => {
  const outside = join(await mkdtemp(join(tmpdir(), 'outside-')), 'config.json');
  await writeFile(outside, '[]');
  await rm(at('config.json'));
  await symlink(outside, at('config.json'));
  expect((await me.pull(['org/large'])).code).toBe(0);
  expect(await readFile(outside, 'utf8')).toBe('[]');
  await expectWhole();
});
