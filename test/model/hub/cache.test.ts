/** The layout of the cache, as in huggingface_hub, and the writes that are refused. */

import { execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readFile, readlink, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { getRepoFolderName } from '@huggingface/hub';
import { beforeEach, describe, expect, test } from 'vitest';
import { hubCache, readHubSettings } from '../../../src/config/network/hub-settings.ts';
import { embeddedModel, modelFolder, modelName } from '../../../src/model/folder.ts';
import {
  cachedSnapshot,
  folderName,
  freeBytes,
  HubCache,
  nameFromCache,
  storageProblem,
} from '../../../src/model/hub/cache.ts';
import { pathsIn } from '../../support/hub-models.ts';
import { reasonOf } from '../folders.ts';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const main = { repo: 'org/name', folder: '', revision: 'main' };

let root: string;
let cache: HubCache;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cache-'));
  cache = new HubCache(root, 'org/name');
  await cache.prepare();
  await writeFile(cache.blob('abc'), 'bytes');
});

describe('a file of a snapshot', () => {
  test('is a relative link to a blob, at any depth', async () => {
    await cache.linkBlob(COMMIT, 'config.json', 'abc');
    await cache.linkBlob(COMMIT, 'onnx/model.onnx', 'abc');
    const at = (path: string): string => join(root, 'models--org--name', 'snapshots', COMMIT, path);
    expect(await readlink(at('config.json'))).toBe('../../blobs/abc');
    expect(await readlink(at('onnx/model.onnx'))).toBe('../../../blobs/abc');
    expect(await readFile(at('onnx/model.onnx'), 'utf8')).toBe('bytes');
    expect(await cache.find(COMMIT, 'config.json', 5)).toBe(await realpath(cache.blob('abc')));
    expect(await cache.find(COMMIT, 'config.json', 6)).toBeUndefined();
  });

  test('is a regular file when links are turned off', async () => {
    const plain = new HubCache(root, 'org/name', false);
    await plain.linkBlob(COMMIT, 'config.json', 'abc');
    const path = join(plain.snapshot(COMMIT), 'config.json');
    expect((await lstat(path)).isSymbolicLink()).toBe(false);
    expect(await readFile(path, 'utf8')).toBe('bytes');
  });

  test('replaces a link to a deleted blob', async () => {
    await cache.linkBlob(COMMIT, 'config.json', 'gone');
    expect(await cache.find(COMMIT, 'config.json', 5)).toBeUndefined();
    await cache.linkBlob(COMMIT, 'config.json', 'abc');
    expect(await cache.find(COMMIT, 'config.json', 5)).toBeDefined();
    expect(await pathsIn(cache.snapshot(COMMIT))).toEqual(['config.json']);
  });

  test('behind a link that leads out of the cache counts as missing, and so does a blob that is a link', async () => {
    const outside = join(await mkdtemp(join(tmpdir(), 'outside-')), 'file');
    await writeFile(outside, 'bytes');
    await mkdir(cache.snapshot(COMMIT), { recursive: true });
    await symlink(outside, join(cache.snapshot(COMMIT), 'config.json'));
    expect(await cache.find(COMMIT, 'config.json', 5)).toBeUndefined();
    await rm(cache.blob('abc'));
    await symlink(outside, cache.blob('abc'));
    expect(await cache.hasBlob('abc', 5)).toBe(false);
    await cache.linkBlob(COMMIT, 'config.json', 'abc');
    expect(await cache.find(COMMIT, 'config.json', 5)).toBeUndefined();
  });

  test.each(['../evil', 'a/../../evil', '/tmp/evil', ''])('is refused at the path %j', async (path) => {
    expect(String(await reasonOf(cache.linkBlob(COMMIT, path, 'abc')))).toMatch(/not a valid path of a model file/);
  });

  test('is not written through a link that leads out of the cache', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'outside-'));
    await mkdir(cache.snapshot(COMMIT), { recursive: true });
    await symlink(outside, join(cache.snapshot(COMMIT), 'onnx'));
    expect(String(await reasonOf(cache.linkBlob(COMMIT, 'onnx/model.onnx', 'abc')))).toMatch(/leads out of the cache/);
    expect(await pathsIn(outside)).toEqual([]);
  });
});

describe('a revision', () => {
  test.each(['main', 'v1.0', 'refs/pr/1'])('%s is stored as a file that holds the commit', async (revision) => {
    await cache.writeRef(revision, COMMIT);
    expect(await readFile(join(cache.folder, 'refs', revision), 'utf8')).toBe(COMMIT);
    expect(cachedSnapshot(root, { repo: 'org/name', folder: '', revision })).toBeUndefined();
    await mkdir(cache.snapshot(COMMIT), { recursive: true });
    expect(cachedSnapshot(root, { repo: 'org/name', folder: '', revision })).toBe(cache.snapshot(COMMIT));
  });

  test('that is a commit needs no file', async () => {
    await cache.writeRef(COMMIT, COMMIT);
    await mkdir(cache.snapshot(COMMIT), { recursive: true });
    expect(await pathsIn(join(cache.folder, 'refs'))).toEqual([]);
    expect(cachedSnapshot(root, { repo: 'org/name', folder: '', revision: COMMIT })).toBe(cache.snapshot(COMMIT));
  });

  test.runIf(process.platform !== 'win32')('is unknown if its file is a pipe, which is not waited for', async () => {
    await mkdir(join(cache.folder, 'refs'), { recursive: true });
    execFileSync('mkfifo', [join(cache.folder, 'refs', 'main')]);
    expect(cachedSnapshot(root, main)).toBeUndefined();
  });

  test('is unknown if its file holds anything but a commit', async () => {
    await mkdir(join(cache.folder, 'refs'), { recursive: true });
    await writeFile(join(cache.folder, 'refs', 'main'), '../../../../../etc');
    expect(cachedSnapshot(root, main)).toBeUndefined();
  });
});

test('names folders like the official package', () => {
  for (const name of ['org/name', 'onnx-community/Qwen3-0.6B-ONNX'])
    expect(folderName(name)).toBe(getRepoFolderName({ type: 'model', name }));
});

describe('--model', () => {
  beforeEach(async () => {
    await cache.linkBlob(COMMIT, 'config.json', 'abc');
    await cache.writeRef('main', COMMIT);
  });

  test.each(['org/name', 'org/name@main', `org/name@${COMMIT}`])(
    'finds %s in the cache and gives its name',
    (model) => {
      expect(modelFolder({ model }, root)).toBe(cache.snapshot(COMMIT));
      expect(modelName({ model })).toBe('org/name');
    },
  );

  test('names a snapshot folder after the model, not after the commit', () => {
    expect(modelName({ model: cache.snapshot(COMMIT) })).toBe('org/name');
    expect(nameFromCache(dirname(cache.snapshot(COMMIT)))).toBeUndefined();
  });

  test('finds a model in a folder of its repository; its name has both parts', async () => {
    const folder = join(cache.snapshot(COMMIT), 'cpu', 'int4');
    expect(() => modelFolder({ model: 'org/name/cpu/int4' }, root)).toThrow(
      'org/name/cpu/int4 is neither a folder nor in the hub cache: run rbees-workerd pull org/name/cpu/int4',
    );
    await cache.linkBlob(COMMIT, 'cpu/int4/config.json', 'abc');
    expect(modelFolder({ model: 'org/name/cpu/int4@main' }, root)).toBe(folder);
    expect(modelName({ model: 'org/name/cpu/int4@main' })).toBe('org/name/cpu/int4');
    expect(modelName({ model: folder })).toBe('org/name/cpu/int4');
  });

  test('prefers an existing folder to a name in the cache', () => {
    expect(modelFolder({ model: 'src/model' }, root)).toBe('src/model');
    expect(modelName({ model: 'src/model/' })).toBe('model');
  });

  test('refuses an unknown name with the command that pulls it', () => {
    expect(() => modelFolder({ model: 'org/other@v2' }, root)).toThrow(
      'org/other@v2 is neither a folder nor in the hub cache: run rbees-workerd pull org/other@v2',
    );
  });

  test('defaults to the embedded model, and returns a path that is not a name unchanged', () => {
    expect([modelFolder({}, root), modelName({})]).toEqual([embeddedModel(), 'haiku']);
    expect(modelFolder({ model: '/nowhere/x' }, root)).toBe('/nowhere/x');
  });
});

describe('the hub variables', () => {
  test.each([
    [{}, '/home/me/.cache/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
    [{ HF_HOME: '/h', XDG_CACHE_HOME: '/x' }, '/h/hub'],
    [{ HF_HOME: '~/h' }, '/home/me/h/hub'],
    [{ HF_HOME: '$DISK/h', DISK: '/d' }, '/d/h/hub'],
    [{ HUGGINGFACE_HUB_CACHE: '/old', HF_HOME: '/h' }, '/old'],
    [{ HF_HUB_CACHE: '/c', HUGGINGFACE_HUB_CACHE: '/old' }, '/c'],
    [{ HF_HUB_CACHE: '', HF_HOME: '' }, '/home/me/.cache/huggingface/hub'],
  ])('%j select the cache %s', (environment, folder) => {
    expect(hubCache({ HOME: '/home/me', ...environment })).toBe(folder);
  });

  test('are named when they are wrong, but a token is never shown', () => {
    expect(() => readHubSettings({ HF_ENDPOINT: 'ftp://x' })).toThrow(
      /HF_ENDPOINT: "ftp:\/\/x" is not allowed; allowed: an http/,
    );
    expect(() => readHubSettings({ HF_TOKEN: 'top\nsecret' })).toThrow(/^HF_TOKEN: \(hidden\) is not allowed/);
    expect(readHubSettings({ HF_ENDPOINT: 'http://mirror/hf/', HF_TOKEN: ' t ', HF_HUB_OFFLINE: 'ON' })).toMatchObject({
      endpoint: 'http://mirror/hf',
      token: 't',
      offline: true,
      symlinks: true,
    });
  });
});

test('explains file system errors and says what to do', () => {
  const error = (code: string): Error => Object.assign(new Error(code), { code, path: '/cache/x' });
  expect(storageProblem(error('ENOSPC'), '/cache')).toMatch(
    /disk of \/cache is full \(ENOSPC\): free some space, or set HF_HOME/,
  );
  expect(storageProblem(error('EACCES'), '/cache')).toMatch(/\/cache\/x cannot be written \(EACCES\).*HF_HUB_CACHE/);
  expect(storageProblem(new Error('a bug'), '/cache')).toBeUndefined();
});

test('measures free space at the nearest existing folder', async () => {
  expect(await freeBytes(join(root, 'not', 'yet', 'there'))).toBeGreaterThan(0);
});
