/** Links and special files in a model folder, and errors that must not quote what a file holds. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { tokenizerOf } from '../../src/lifecycle/open-text.ts';
import { openModelFile } from '../../src/model/folder-files.ts';
import { locateModel } from '../../src/model/locate.ts';
import { ModelError } from '../../src/model/problems.ts';
import { readSpec } from '../../src/model/spec.ts';
import { readTemplates } from '../../src/model/template-source.ts';
import { Tokenizer } from '../../src/text/tokenizer/tokenizer.ts';
import { onnxBytes, onnxNaming } from '../onnx/onnx-bytes.ts';
import { type Files, GENAI, linked, modelFolder, problemsIn, reasonOf } from './folders.ts';

const SECRET = 'root:SECRETHASH:0';
const LEADS_OUT =
  'is a link that leads out of the model folder; allowed: targets inside the folder. Replace the link with a copy of the file';
const WITH_BLOBS = LEADS_OUT.replace('the folder.', "the folder, or in the hub cache's blobs/.");

/** All files that a worker can open, so that each can be replaced by a link. */
const ALL: Files = {
  'generation_config.json': {},
  'genai_config.json': GENAI,
  'model.onnx': onnxNaming({ 'model.onnx_data': 9 }),
  'model.onnx_data': 'x'.repeat(300),
  'onnx/model.onnx': undefined,
  'chat_template.jinja': 'x',
};
const NAMES = [
  'config.json',
  'generation_config.json',
  'genai_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'model.onnx',
  'model.onnx_data',
];

async function outside(content: string | Uint8Array = `${SECRET}\n`): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'outside-')), 'secret');
  await writeFile(file, content);
  return file;
}

async function replaceByLink(path: string, target: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await symlink(target, path);
}

/** All that a worker does with the files of a folder before the engine opens the weights. */
async function readAll(folder: string): Promise<void> {
  const files = await locateModel(folder);
  await readSpec(files);
  const templates = await readTemplates(files);
  const reason = templates.find((one) => one.reason !== undefined)?.reason;
  if (reason !== undefined) throw new Error(reason);
  await Tokenizer.open(tokenizerOf(files));
}

describe('a link into the hub cache of the user', () => {
  const blob = 'c'.repeat(64);

  afterEach(() => {
    vi.unstubAllEnvs();
  });

  async function cacheWith(place: string): Promise<string> {
    const cache = await mkdtemp(join(tmpdir(), 'cache-'));
    vi.stubEnv('HF_HUB_CACHE', cache);
    const file = join(cache, place);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, '{}');
    return file;
  }

  it('is followed to a blob, as `--local-dir` of older hub clients makes it', async () => {
    const folder = await modelFolder(ALL);
    await replaceByLink(join(folder, 'generation_config.json'), await cacheWith(`models--org--name/blobs/${blob}`));
    const { handle, real } = await openModelFile(folder, 'generation_config.json');
    await handle.close();
    expect(real).toContain(blob);
  });

  it.each([`models--org--name/blobs/secret`, `models--org--name/refs/${blob}`, `other/blobs/${blob}`])(
    'is refused to %s',
    async (place) => {
      const folder = await modelFolder(ALL);
      await replaceByLink(join(folder, 'generation_config.json'), await cacheWith(place));
      await expect(openModelFile(folder, 'generation_config.json')).rejects.toThrow(LEADS_OUT);
    },
  );
});

describe('a link in a model folder', () => {
  it.each(NAMES)('in place of %s is refused if it leads out, by its name and without the content', async (name) => {
    const folder = await modelFolder(ALL);
    await replaceByLink(join(folder, name), await outside());
    const problems = await problemsIn(folder, readAll(folder));
    expect(problems).toContain(`${name} ${LEADS_OUT}`);
    expect(problems.join()).not.toMatch(/SECRET|outside-/);
  });

  it.each([
    ['special_tokens_map.json', 'tokenizer_config.json'],
    ['added_tokens.json', 'tokenizer_config.json'],
    ['chat_template.json', 'chat_template.jinja'],
  ])('in place of %s is refused too', async (name, first) => {
    const folder = await modelFolder({ ...ALL, [first]: undefined });
    await symlink(await outside(), join(folder, name));
    expect(await problemsIn(folder, readAll(folder))).toEqual([`${name} ${LEADS_OUT}`]);
  });

  it('may lead to a file inside the folder, also over several links and out and in again', async () => {
    const folder = await modelFolder(ALL);
    await mkdir(join(folder, 'real'));
    for (const name of NAMES) {
      await rename(join(folder, name), join(folder, 'real', name));
      await symlink(`real/${name}`, join(folder, `${name}.hop`));
      await symlink(join('..', folder.split('/').at(-1) ?? '', `${name}.hop`), join(folder, name));
    }
    expect((await locateModel(folder)).choices[0]?.weightFiles).toHaveLength(2);
  });

  it('may not lead to a folder beside it whose name begins alike', async () => {
    const folder = await modelFolder(ALL);
    await mkdir(`${folder}-more`);
    await writeFile(join(`${folder}-more`, 'config.json'), '{}');
    await replaceByLink(join(folder, 'config.json'), join(`${folder}-more`, 'config.json'));
    expect(await problemsIn(folder, locateModel(folder))).toEqual([`config.json ${LEADS_OUT}`]);
  });

  it('on the way to a file is named', async () => {
    const folder = await modelFolder({ 'onnx/model.onnx': undefined });
    const elsewhere = await modelFolder({ 'onnx/model.onnx': onnxBytes() });
    await symlink(join(elsewhere, 'onnx'), join(folder, 'onnx'));
    expect(await problemsIn(folder, locateModel(folder))).toEqual([
      `onnx/model.onnx ${LEADS_OUT.replace('is a link that', 'is behind the link onnx, which')}`,
    ]);
  });

  it('may be the folder itself, because the operator named it', async () => {
    const link = join(await mkdtemp(join(tmpdir(), 'link-')), 'model');
    await symlink(await modelFolder(ALL), link);
    expect((await locateModel(link)).folder).toBe(link);
  });
});

describe('a snapshot of a hub cache', () => {
  it('may link into its own blobs, from any of its folders and through a link to it', async () => {
    const snapshot = await linked(await modelFolder({ ...ALL, 'cpu/config.json': '{}' }));
    await readAll(snapshot).catch((error: unknown) => expect(String(error)).not.toContain('link'));
    const { handle } = await openModelFile(join(snapshot, 'cpu'), 'config.json');
    await handle.close();
    const link = join(await mkdtemp(join(tmpdir(), 'link-')), 'model');
    await symlink(snapshot, link);
    expect((await locateModel(link)).choices[0]?.weightFiles).toHaveLength(2);
  });

  it.each([
    ['the blobs of another model', 'models--org--other/blobs/x'],
    ['another part of its own cache', 'models--org--linked/refs/x'],
    ['a folder beside the blobs', 'models--org--linked/blobs-more/x'],
  ])('may not link to %s', async (_, target) => {
    const snapshot = await linked(await modelFolder(ALL));
    const file = join(snapshot, '../../..', target);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, '{}');
    await replaceByLink(join(snapshot, 'config.json'), file);
    expect(await problemsIn(snapshot, locateModel(snapshot))).toEqual([`config.json ${WITH_BLOBS}`]);
  });

  it('with blobs that are a link is refused: they could be any folder', async () => {
    const snapshot = await linked(await modelFolder(ALL));
    const blobs = join(snapshot, '../../blobs');
    await rename(blobs, `${blobs}-moved`);
    await symlink(`${blobs}-moved`, blobs);
    expect(await problemsIn(snapshot, locateModel(snapshot))).toContain(`config.json ${WITH_BLOBS}`);
  });

  it.each(['snapshots/main', 'other/models--a--b/snapshots/c0ffee', 'datasets--a--b/snapshots/COMMIT'])(
    'is not a folder that only looks similar: %s',
    async (path) => {
      const folder = join(await mkdtemp(join(tmpdir(), 'fake-')), path.replace('COMMIT', 'a'.repeat(40)));
      await mkdir(join(folder, '../../blobs'), { recursive: true });
      await rename(await modelFolder(ALL), folder).catch(async () => {
        await mkdir(dirname(folder), { recursive: true });
        await rename(await modelFolder(ALL), folder);
      });
      await rename(join(folder, 'config.json'), join(folder, '../../blobs/x'));
      await symlink('../../blobs/x', join(folder, 'config.json'));
      expect(await problemsIn(folder, locateModel(folder))).toEqual([`config.json ${LEADS_OUT}`]);
    },
  );
});

describe.runIf(process.platform !== 'win32')('a special file', () => {
  it.each(NAMES)('in place of %s is refused and never waited for: a pipe', async (name) => {
    const folder = await modelFolder(ALL);
    await rm(join(folder, name));
    execFileSync('mkfifo', [join(folder, name)]);
    expect(await problemsIn(folder, readAll(folder))).toContain(`${name} is not a regular file`);
  });

  it('that replaces a file later is not waited for', async () => {
    const folder = await modelFolder(ALL);
    const files = await locateModel(folder);
    await rm(join(folder, 'config.json'));
    execFileSync('mkfifo', [join(folder, 'config.json')]);
    expect(await problemsIn(folder, readSpec(files))).toEqual(['config.json is not a regular file']);
  });

  it.each(['/dev/zero', '/dev/stdin', '/proc/self/environ', '/'])('such as %s is refused', async (target) => {
    const folder = await modelFolder(ALL);
    await replaceByLink(join(folder, 'config.json'), target);
    expect(await problemsIn(folder, locateModel(folder))).toEqual([
      expect.stringMatching(/^config\.json (is a link that leads out|is a link to a missing file)/),
    ]);
  });
});

it.each(NAMES)('an error about %s does not quote what the file holds', async (name) => {
  for (const content of [SECRET, `{"a": ${SECRET}`, `"${SECRET}"`, `[{"${SECRET}": 1}]`]) {
    const folder = await modelFolder({ ...ALL, [name]: content });
    const error = await reasonOf(readAll(folder));
    expect(String(error)).not.toContain('SECRET');
    if (name.endsWith('.json')) expect(error).toBeInstanceOf(ModelError);
    expect(await readFile(join(folder, name), 'utf8')).toBe(content);
  }
});
