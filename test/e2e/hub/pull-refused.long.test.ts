/** Pulls that fail: offline, a full disk, a cache that cannot be written, a wrong configuration. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { onnxBytes } from '../../onnx/onnx-bytes.ts';
import { LARGE, Puller, text, WEIGHTS, WORDS } from '../../support/hub-models.ts';
import { HubServer, sha256 } from '../../support/hub-server.ts';

const TOKEN = 'hf_never-to-be-seen';

let hub: HubServer;
let me: Puller;
beforeAll(async () => {
  hub = await HubServer.start({
    'org/large': { files: LARGE },
    'org/gated': { files: LARGE, token: TOKEN },
  });
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
});

describe('a pull that fails exits 1 with the reason', () => {
  test('offline: a cached model is enough, another is not, and the hub gets no request', async () => {
    const offline = { HF_HUB_OFFLINE: '1' };
    expect(await me.pull(['org/large'], offline)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/HF_HUB_OFFLINE is set, and org\/large is not in the cache/),
    });
    await me.pull(['org/large']);
    hub.seen.length = 0;
    expect(await me.pull(['org/large'], offline)).toEqual({ code: 0, stdout: `${me.snapshot('large')}\n`, stderr: '' });
    expect(await me.pull(['org/large', '--dtype', 'fp16'], offline)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/model_fp16\.onnx.*is missing/),
    });
    expect(hub.seen).toEqual([]);
  });

  test.each([
    ['1000 TB', 10 ** 15],
    ['9010 TB', Number.MAX_SAFE_INTEGER],
  ])('no room on the disk for %s, before a byte is requested', async (text, size) => {
    const told = { lfs: { oid: sha256(WEIGHTS), size, pointerSize: 134 } };
    hub.put('org/huge', { files: { ...WORDS, 'onnx/model.onnx': { bytes: WEIGHTS, lfs: true, told } } });
    const { code, stderr } = await me.pull(['org/huge']);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(`hub needs ${text}, and .* are free: free some space, or set HF_HUB_CACHE`),
    ]);
    expect(hub.triesOf('config.json')).toEqual([]);
  });

  test('a cache that cannot be written', async () => {
    const file = join(me.home, 'file');
    await writeFile(file, '');
    const { code, stderr } = await me.pull(['org/large'], { HF_HOME: file });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/file\/hub.* cannot be written \(ENOTDIR\): .*set HF_HOME or HF_HUB_CACHE/),
    ]);
  });

  test('a genai_config.json that is too large', async () => {
    hub.put('org/much', { files: { ...WORDS, 'genai_config.json': text(' '.repeat(2 ** 21)), 'x.onnx': text('x') } });
    const { code, stderr } = await me.pull(['org/much']);
    expect([code, stderr]).toEqual([1, 'rbees-workerd: genai_config.json is 2.10 MB; at most 1.05 MB is allowed.\n']);
    expect(hub.triesOf('genai_config.json')).toEqual([]);
  });

  test.each(['../../../../../etc/passwd', '/etc/passwd', '..', '\u001b[2Jcleared/../../..'])(
    'weights that name external data outside of the folder: %j',
    async (location) => {
      const graph = onnxBytes({ tensors: [{ external: { location, length: '1' } }] });
      hub.put('org/external', { files: { ...WORDS, 'onnx/model.onnx': { bytes: graph, lfs: true } } });
      const { code, stderr } = await me.pull(['org/external']);
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(/onnx\/model\.onnx names external data outside the folder \("/),
      ]);
      expect(stderr).not.toContain('\u001b');
    },
  );

  test.each([
    ['the metadata of a cloud', 'http://169.254.169.254/latest/meta-data/iam'],
    ['the same, as a number', 'http://2852039166/latest/meta-data/iam'],
    ['the same, in an IPv6 form', 'http://[::ffff:a9fe:a9fe]/latest/meta-data/iam'],
  ])('a hub that redirects to %s', async (_, redirect) => {
    hub.fail('config.json', { redirect });
    expect(await me.pull(['org/large'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/The hub leads to .*, a link-local, multicast or reserved address, .*: refused\./),
    });
  });

  test('a genai_config.json that names a file outside of the repository', async () => {
    const genai = JSON.stringify({ model: { decoder: { filename: '../../../../../etc/passwd' } } });
    hub.put('org/genai', { files: { ...WORDS, 'genai_config.json': text(genai), 'decoder.onnx': text('x') } });
    expect(await me.pull(['org/genai'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /genai_config\.json has a wrong "model\.decoder\.filename" \(the path leads out of the folder\)/,
      ),
    });
    expect(hub.triesOf('decoder.onnx')).toEqual([]);
  });
});
