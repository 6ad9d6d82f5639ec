import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type DtypeChoice,
  embeddedModel,
  libraryPath,
  locateModel,
  ModelError,
  type ModelFiles,
} from '../../src/model/locate.ts';
import { type Files, modelFolder, reasonOf } from './folders.ts';

const found = async (files: Files, dtype?: DtypeChoice): Promise<ModelFiles> =>
  locateModel(await modelFolder(files), dtype);

async function problemsOf(files: Files, dtype?: DtypeChoice): Promise<string[]> {
  const folder = await modelFolder(files);
  const error = await reasonOf(locateModel(folder, dtype));
  if (!(error instanceof ModelError)) throw new Error('located');
  expect(error.message).toContain(folder);
  for (const { file } of error.problems) expect(error.message).toContain(file);
  return error.problems.map(({ file, problem }) => `${file} ${problem}`);
}

/** An .onnx file that says where its weights are, as protobuf writes it. */
const graphNaming = (...names: string[]): Buffer =>
  Buffer.concat(
    names.map((name) =>
      Buffer.from(`tensor\x0a\x08location\x12${String.fromCharCode(name.length)}${name}rest`, 'latin1'),
    ),
  );

describe('a model folder', () => {
  it('gives the paths of all its files; the optional ones only if they are there', async () => {
    const files = await found({ 'generation_config.json': {}, 'chat_template.jinja': 'x' });
    const names = Object.entries(files).flatMap(([key, value]) =>
      key.endsWith('File') ? [relative(files.folder, String(value))] : [],
    );
    expect(names.sort()).toEqual([
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'onnx/model.onnx',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(await found({})).not.toHaveProperty('generationConfigFile');
    expect(await found({})).not.toHaveProperty('chatTemplateFile');
  });

  it('is the embedded one when nothing else is said, with its weights in fp32', async () => {
    const files = await locateModel(embeddedModel());
    expect([basename(files.folder), files.dtype, basename(files.modelFile)]).toEqual(['haiku', 'fp32', 'model.onnx']);
    expect(files.bytes).toBeGreaterThan(1_000_000);
  });
});

describe('the weights', () => {
  it.each([
    ['fp32', 'model.onnx'],
    ['fp16', 'model_fp16.onnx'],
    ['int8', 'model_int8.onnx'],
    ['uint8', 'model_uint8.onnx'],
    ['q8', 'model_quantized.onnx'],
    ['quantized', 'model_quantized.onnx'],
    ['q4', 'model_q4.onnx'],
    ['q4f16', 'model_q4f16.onnx'],
    ['bnb4', 'model_bnb4.onnx'],
  ] as const)('of dtype %s are %s, in onnx/ or at the root', async (dtype, name) => {
    const none = { 'onnx/model.onnx': undefined };
    const kind = dtype === 'quantized' ? 'q8' : dtype;
    expect(await found({ ...none, [`onnx/${name}`]: 'abc' }, dtype)).toMatchObject({ dtype: kind, bytes: 3 });
    const files = await found({ ...none, [name]: 'abcd' }, dtype);
    expect([files.dtype, relative(files.folder, files.modelFile), files.bytes]).toEqual([kind, name, 4]);
  });

  it('in onnx/ win over those at the root', async () => {
    expect((await found({ 'onnx/model.onnx': 'abc', 'model.onnx': 'a' })).bytes).toBe(3);
  });

  it('are chosen for a CPU by auto: 4-bit, 8-bit, fp32, and half floats last', async () => {
    const q4 = { 'onnx/model_q4.onnx': 'x' };
    const q8 = { 'model_quantized.onnx': 'x' };
    const halves = { 'onnx/model_fp16.onnx': 'x', 'onnx/model_q4f16.onnx': 'x' };
    expect((await found({})).dtype).toBe('fp32');
    expect((await found({ ...q4, ...q8, ...halves })).dtype).toBe('q4');
    expect((await found({ ...q8, ...halves }, 'auto')).dtype).toBe('q8');
    expect((await found(halves)).dtype).toBe('fp32');
    expect((await found({ ...halves, 'onnx/model.onnx': undefined })).dtype).toBe('q4f16');
  });

  it('are counted with their external data', async () => {
    const graph = graphNaming('model_q4.onnx_data', 'model_q4.onnx_data', 'model_q4.onnx_data_1');
    const files = await found(
      {
        'onnx/model_q4.onnx': graph,
        'onnx/model_q4.onnx_data': 'x'.repeat(1_000),
        'onnx/model_q4.onnx_data_1': 'x'.repeat(200),
        'onnx/model.onnx_data': 'another dtype',
      },
      'q4',
    );
    expect(files.bytes).toBe(graph.length + 1_200);
  });

  it('that are not there are named, with what is there instead', async () => {
    expect(await problemsOf({ 'onnx/model_q4.onnx': 'x' }, 'fp16')).toEqual([
      'onnx/model_fp16.onnx or model_fp16.onnx is missing (dtype fp16); the folder has onnx/model_q4.onnx (q4), onnx/model.onnx (fp32)',
    ]);
    expect(await problemsOf({ 'onnx/model.onnx': undefined })).toEqual(['onnx/model.onnx or model.onnx is missing']);
  });
});

describe('a broken folder', () => {
  it.each(['config.json', 'tokenizer.json', 'tokenizer_config.json'])('without %s says so', async (name) => {
    expect(await problemsOf({ [name]: undefined })).toEqual([`${name} is missing`]);
  });

  it('tells everything at once', async () => {
    expect(
      await problemsOf({
        'config.json': undefined,
        'tokenizer.json': '',
        'tokenizer_config.json': 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n',
        'generation_config.json': '',
        'onnx/model.onnx': undefined,
      }),
    ).toEqual([
      'onnx/model.onnx or model.onnx is missing',
      'config.json is missing',
      'tokenizer.json is empty',
      'tokenizer_config.json is a Git LFS pointer, the file itself was not fetched',
      'generation_config.json is empty',
    ]);
  });

  it('with a folder where a file should be says so', async () => {
    expect(await problemsOf({ 'config.json': undefined, 'config.json/x': 'y' })).toEqual(['config.json is not a file']);
  });

  it('with external data missing or not fetched names it', async () => {
    const graph = graphNaming('weights.bin', 'more.bin');
    expect(await problemsOf({ 'onnx/model.onnx': graph, 'onnx/more.bin': '' })).toEqual([
      'onnx/more.bin is empty',
      'onnx/weights.bin is missing',
    ]);
  });

  it('that is no folder says so', async () => {
    const folder = await modelFolder();
    await expect(locateModel(join(folder, 'gone'))).rejects.toThrow(/there is no such folder/);
    await expect(locateModel(join(folder, 'config.json'))).rejects.toThrow(/a file, not a folder/);
  });
});

describe('the runtime library', () => {
  it('of this machine is inside the installed package', () => {
    expect(existsSync(libraryPath())).toBe(true);
  });

  it.each([
    ['linux', 'x64', 'libonnxruntime.so.1'],
    ['linux', 'arm64', 'libonnxruntime.so.1'],
    ['darwin', 'arm64', 'libonnxruntime.1.dylib'],
    ['win32', 'x64', 'onnxruntime.dll'],
  ])('for %s %s is %s', (platform, arch, name) => {
    const path = libraryPath({ platform, arch });
    expect([basename(path), existsSync(path)]).toEqual([name, true]);
    expect(path).toContain(join(platform, arch));
  });

  it('is found in whichever version of the package, the newest binding first', async () => {
    const packageRoot = await modelFolder();
    for (const [binding, name] of [
      ['napi-v6', 'libonnxruntime.so.1'],
      ['napi-v10', 'libonnxruntime.so.2.1.0'],
      ['other', 'libonnxruntime.so.1'],
    ]) {
      const folder = join(packageRoot, 'bin', binding!, 'linux', 'x64');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, name!), 'x');
    }
    expect(libraryPath({ packageRoot, platform: 'linux', arch: 'x64' })).toBe(
      join(packageRoot, 'bin/napi-v10/linux/x64/libonnxruntime.so.2.1.0'),
    );
  });

  it('that is absent is told with what to do', async () => {
    expect(() => libraryPath({ platform: 'sunos', arch: 'sparc' })).toThrow(
      /no library for sunos sparc.*--runtime-library/,
    );
    expect(() => libraryPath({ packageRoot: '/nowhere' })).toThrow(/no library/);
  });
});
