/**
 * Pulls that need a token, and pulls that fail: their messages, their secrets, and where nothing is written.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LARGE, Puller, pathsIn, text, WEIGHTS_FILE } from '../../support/hub-models.ts';
import { HubServer } from '../../support/hub-server.ts';

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

describe('a token', () => {
  test('opens a gated repository, is sent to the hub only, and is printed nowhere', async () => {
    hub.fail(WEIGHTS_FILE, { status: 500 });
    const { code, stdout, stderr } = await me.pull(['org/gated'], { HF_TOKEN: TOKEN });
    expect(code).toBe(0);
    const tokens = (host: string) =>
      new Set(hub.seen.filter((one) => one.host === host).map((one) => one.authorization));
    expect(tokens('hub')).toEqual(new Set([`Bearer ${TOKEN}`]));
    expect(tokens('cdn')).toEqual(new Set([undefined]));
    const kept = await Promise.all((await pathsIn(me.home)).map((path) => readFile(join(me.home, path), 'latin1')));
    expect([stdout, stderr, ...kept].filter((one) => one.includes(TOKEN))).toEqual([]);
  });

  test.each([
    [
      'missing',
      undefined,
      /org\/gated is gated \(401\): request access at .*\/org\/gated; set HF_TOKEN to a token with read access/,
    ],
    ['of somebody else', 'hf_another', /org\/gated is gated \(401\).*; HF_TOKEN has no read access/],
  ])('%s: exit 1 with a fix and without the token', async (_, token, reason) => {
    const { code, stderr } = await me.pull(['org/gated'], token === undefined ? {} : { HF_TOKEN: token });
    expect([code, stderr]).toEqual([1, expect.stringMatching(reason)]);
    expect(stderr).not.toContain('hf_');
    expect(await pathsIn(me.home)).toEqual([]);
  });
});

describe('a pull that fails exits 1 with the reason', () => {
  test('no such repository, no such revision', async () => {
    expect(await me.pull(['org/nothing'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/org\/nothing does not exist or is private/),
    });
    expect(await me.pull(['org/large@v9'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has no revision v9/),
    });
  });
});

test('files with hostile names are not downloaded', async () => {
  const outside = await mkdtemp(join(tmpdir(), 'outside-'));
  const hostile = [
    '../../../../../../evil',
    `${outside}/evil`,
    'onnx/../../evil',
    'onnx/model_q4.onnx_data/../../../evil',
  ];
  const named = Object.fromEntries(hostile.map((path) => [path, text('evil')]));
  hub.put('org/hostile', { files: { ...named, ...LARGE } });
  expect((await me.pull(['org/hostile'])).code).toBe(0);
  expect(await pathsIn(me.snapshot('hostile'))).toEqual([
    'config.json',
    'onnx/model_q4.onnx',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  expect((await pathsIn(me.home)).filter((path) => path.includes('evil'))).toEqual([]);
  expect(await pathsIn(outside)).toEqual([]);
  await rm(outside, { recursive: true });
});
