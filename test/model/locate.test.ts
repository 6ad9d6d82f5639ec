import { chmod, realpath, symlink } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { embeddedModel } from '../../src/model/folder.ts';
import { locateModel, type ModelFiles } from '../../src/model/locate.ts';
import { onnxBytes, onnxNaming } from '../onnx/onnx-bytes.ts';
import { type Files, GENAI, genaiFolder, linked, modelFolder, problemsIn } from './folders.ts';

const found = async (files: Files): Promise<ModelFiles> => locateModel(await modelFolder(files));
const problemsOf = async (files: Files): Promise<string[]> => {
  const folder = await modelFolder(files);
  return problemsIn(folder, locateModel(folder));
};
const genaiProblems = async (files: Files): Promise<string[]> => {
  const folder = await genaiFolder(files);
  return problemsIn(folder, locateModel(folder));
};
const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n';

/** Paths of the located files, relative to the folder. */
const namesOf = (files: ModelFiles): string[] =>
  Object.entries(files)
    .flatMap(([key, value]) => (key.endsWith('File') ? [relative(files.folder, String(value))] : []))
    .sort();

describe('a model folder', () => {
  it('gives the paths of all its files; of optional ones only if they exist', async () => {
    const files = await found({ 'generation_config.json': {}, 'chat_template.jinja': 'x' });
    expect(namesOf(files)).toEqual([
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const bare = await found({ 'tokenizer_config.json': undefined });
    expect(namesOf(bare)).toEqual(['config.json', 'tokenizer.json']);
  });

  it('has every file of tokens, and one file of the template', async () => {
    const others = { 'special_tokens_map.json': {}, 'added_tokens.json': {}, 'chat_template.json': {} };
    expect(await found({ ...others, 'tokenizer_config.json': undefined })).toMatchObject({
      specialTokensFile: expect.stringMatching(/special_tokens_map\.json$/),
      addedTokensFile: expect.stringMatching(/added_tokens\.json$/),
      chatTemplateFile: expect.stringMatching(/chat_template\.json$/),
    });
    expect(await found({ ...others, 'chat_template.jinja': 'x' })).toMatchObject({
      tokenizerConfigFile: expect.stringMatching(/tokenizer_config\.json$/),
      specialTokensFile: expect.stringMatching(/special_tokens_map\.json$/),
      chatTemplateFile: expect.stringMatching(/chat_template\.jinja$/),
    });
  });

  it('is the embedded one by default, with weights in fp32', async () => {
    const { folder, choices } = await locateModel(embeddedModel());
    expect([basename(folder), choices[0]?.dtype, basename(choices[0]?.modelFile ?? '')]).toEqual([
      'haiku',
      'fp32',
      'model.onnx',
    ]);
    expect(choices[0]?.bytes).toBeGreaterThan(1_000_000);
  });
});

describe('a GenAI folder', () => {
  it('needs no config.json', async () => {
    const files = await locateModel(await genaiFolder());
    expect(namesOf(files)).toEqual(['genai_config.json', 'tokenizer.json', 'tokenizer_config.json']);
  });

  it.each(['decoder.onnx', 'cpu/int4/decoder.onnx', './decoder.onnx'])('has its graph in %s', async (filename) => {
    const config = { model: { ...GENAI.model, decoder: { ...GENAI.model.decoder, filename } } };
    const folder = await genaiFolder({ 'genai_config.json': config, 'model.onnx': undefined, [filename]: onnxBytes() });
    expect((await locateModel(folder)).choices[0]?.modelFile).toBe(join(folder, filename));
  });

  it('without its graph names the configuration; weights of the hub beside it are used', async () => {
    const gone = { 'model.onnx': undefined };
    expect(await genaiProblems(gone)).toEqual(['model.onnx is missing (genai_config.json names it)']);
    const folder = await genaiFolder({ ...gone, 'onnx/model_q4.onnx': onnxBytes() });
    expect((await locateModel(folder)).choices[0]?.dtype).toBe('q4');
  });

  it.each([
    [{}, 'lacks "model"'],
    [{ model: { decoder: {} } }, 'lacks "model.decoder.filename"'],
    [
      { model: { decoder: { filename: 3 } } },
      'has a wrong "model.decoder.filename" (expected string, received number)',
    ],
    [
      { model: { decoder: { filename: '../x.onnx' } } },
      'has a wrong "model.decoder.filename" (the path leads out of the folder)',
    ],
    [
      { model: { decoder: { filename: '/x.onnx' } } },
      'has a wrong "model.decoder.filename" (the path leads out of the folder)',
    ],
    ['', 'is empty'],
    ['[]', 'is not a JSON object'],
  ])('is refused with the configuration %j', async (config, problem) => {
    const problems = await genaiProblems({ 'genai_config.json': config, 'model.onnx': undefined });
    expect(problems.filter((one) => one.startsWith('genai_config.json'))).toEqual([`genai_config.json ${problem}`]);
  });

  it('without a model lists the models in its subfolders', async () => {
    const folder = await genaiFolder({
      'genai_config.json': undefined,
      'model.onnx': undefined,
      'cuda/cuda-int4/genai_config.json': GENAI,
      'cpu/genai_config.json': GENAI,
    });
    expect(await problemsIn(folder, locateModel(folder))).toEqual([
      'onnx/model.onnx, model.onnx or model.safetensors is missing; the folder has a model in cpu/, a model in cuda/cuda-int4/',
      'config.json or genai_config.json is missing',
    ]);
  });
});

describe('links, as in the hub cache', () => {
  it('are followed, also for external data', async () => {
    const graph = onnxNaming({ 'model.onnx_data': 300 });
    const folder = await linked(
      await modelFolder({ 'onnx/model.onnx': graph, 'onnx/model.onnx_data': 'x'.repeat(300) }),
    );
    const { choices } = await locateModel(folder);
    expect(choices[0]).toMatchObject({
      modelFile: join(folder, 'onnx/model.onnx'),
      weightFiles: [
        await realpath(join(folder, 'onnx/model.onnx')),
        await realpath(join(folder, 'onnx/model.onnx_data')),
      ],
      bytes: graph.length + 300,
    });
  });

  it('that dangle are reported as such', async () => {
    const folder = await modelFolder({ 'config.json': undefined, 'tokenizer.json': undefined });
    await symlink('../blobs/gone', join(folder, 'config.json'));
    await symlink('tokenizer.json', join(folder, 'tokenizer.json'));
    expect(await problemsIn(folder, locateModel(folder))).toEqual([
      'config.json is a link to a missing file',
      'tokenizer.json is a link to itself',
    ]);
  });
});

describe('a broken folder', () => {
  it.each([
    ['config.json', 'config.json or genai_config.json'],
    ['tokenizer.json', 'tokenizer.json'],
  ])('without %s is refused', async (name, expected) => {
    expect(await problemsOf({ [name]: undefined })).toEqual([`${expected} is missing`]);
  });

  it('is reported with all its problems', async () => {
    expect(
      await problemsOf({
        'config.json': undefined,
        'tokenizer.json': '',
        'tokenizer_config.json': POINTER,
        'generation_config.json': '',
        'onnx/model.onnx': onnxNaming({ 'a.bin': 9, 'b.bin': 9, 'c.bin': 9 }),
        'onnx/a.bin': POINTER,
        'onnx/b.bin': 'short',
      }),
    ).toEqual([
      'onnx/a.bin is a Git LFS pointer: run git lfs pull',
      'onnx/b.bin is cut off: it has 5 of the 9 bytes that model.onnx needs',
      'onnx/c.bin is missing',
      'generation_config.json is empty',
      'tokenizer_config.json is a Git LFS pointer: run git lfs pull',
      'config.json or genai_config.json is missing',
      'tokenizer.json is empty',
    ]);
  });

  it('with only a SentencePiece tokenizer is refused with a remedy', async () => {
    expect(await problemsOf({ 'tokenizer.json': undefined, 'tokenizer.model': 'x' })).toEqual([
      'tokenizer.json is missing',
      'tokenizer.model is not supported: convert it to tokenizer.json',
    ]);
  });

  it('with folders instead of files is refused', async () => {
    const files = { 'config.json': undefined, 'config.json/x': 'y', 'onnx/model.onnx': undefined, 'model.onnx/x': 'y' };
    expect(await problemsOf(files)).toEqual(['model.onnx is not a regular file', 'config.json is not a regular file']);
  });

  it.runIf(process.platform !== 'win32' && process.getuid?.() !== 0)(
    'with a file that cannot be read says why',
    async () => {
      const folder = await modelFolder();
      await chmod(join(folder, 'config.json'), 0);
      expect(await problemsIn(folder, locateModel(folder))).toEqual(['config.json cannot be read (EACCES)']);
    },
  );

  it('that is missing or a file is refused', async () => {
    const folder = await modelFolder();
    await expect(locateModel(join(folder, 'gone'))).rejects.toThrow(`gone does not exist. Its folder is ${folder}.`);
    await expect(locateModel(join(folder, 'gone.gguf'))).rejects.toThrow(
      `gone.gguf does not exist. Its folder is ${folder}.`,
    );
    await expect(locateModel('/dev/null')).rejects.toThrow('null is not a regular file. Its folder is /dev.');
    await expect(locateModel(join(folder, 'config.json'))).rejects.toThrow(
      `config.json is a file: use its folder, or a .gguf file. Its folder is ${folder}.`,
    );
  });
});
