/** A GGUF model by its file and by its folder: weights, configuration, tokenizer and templates. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { candidateOf } from '../../../../src/lifecycle/load-model.ts';
import { openText } from '../../../../src/lifecycle/open-text.ts';
import { readDecoder } from '../../../../src/model/checkpoint/read-decoder.ts';
import type { DtypeChoice, FormatChoice } from '../../../../src/model/dtypes.ts';
import { modelName, modelFolder as modelPath } from '../../../../src/model/folder.ts';
import { locateModel } from '../../../../src/model/locate.ts';
import { readCacheShape } from '../../../../src/model/spec/cache-shape.ts';
import { readSpec } from '../../../../src/model/spec.ts';
import type { DeviceName } from '../../../../src/protocol/devices.ts';
import { ggufBytes, partName, splitGguf } from '../../../support/gguf/gguf-bytes.ts';
import { llamaTensors, smallLlama, TEMPLATE, TOKENS } from '../../../support/gguf/small-llama.ts';
import { builtThread } from '../../../text/tokenizer/small-tokenizers.ts';
import { CONFIG, type Files, linked, modelFolder, problemsIn, TOKENIZER } from '../../folders.ts';
import { llamaTensors as safetensors, safetensorsBytes } from '../safetensors-bytes.ts';

/** No file of the usual folder. */
const NOTHING: Files = {
  'config.json': undefined,
  'tokenizer.json': undefined,
  'tokenizer_config.json': undefined,
  'onnx/model.onnx': undefined,
};
const GGUF = ggufBytes(smallLlama());
const ONE: Files = { ...NOTHING, 'small.gguf': GGUF };
/** A prompt that the event loop leaves to the thread. */
const LONG = 'the '.repeat(1000);

interface Wish {
  readonly dtype?: DtypeChoice;
  readonly devices?: readonly DeviceName[];
  readonly format?: FormatChoice;
}

const locate = (path: string, { dtype = 'auto', devices = ['cpu'], format = 'auto' }: Wish = {}) =>
  locateModel(path, dtype, devices, format);

const chosenIn = async (files: Files, wish: Wish = {}, file = ''): Promise<string[]> =>
  (await locate(join(await modelFolder(files), file), wish)).choices.map(
    ({ device, modelFile, dtype }) => `${device} ${basename(modelFile)} ${dtype}`,
  );

async function problemsFor(files: Files, wish: Wish = {}, file = ''): Promise<string[]> {
  const folder = await modelFolder(files);
  const problems = await problemsIn(folder, locate(join(folder, file), wish));
  return problems.map((one) => one.replaceAll(folder, 'FOLDER'));
}

describe('a GGUF file', () => {
  it('has the facts of a model', async () => {
    const folder = await modelFolder(ONE);
    const files = await locate(join(folder, 'small.gguf'), { devices: ['cuda-0', 'coreml', 'webgpu', 'cpu'] });
    const file = await realpath(join(folder, 'small.gguf'));
    expect(files.choices.map(({ device }) => device)).toEqual(['cuda-0', 'webgpu', 'cpu']);
    expect(files.choices[2]).toMatchObject({
      dtype: 'q8_0',
      modelFile: join(folder, 'small.gguf'),
      weightFiles: [file],
      bytes: GGUF.length,
      reason: 'the weights of the GGUF file',
    });
    expect(await readSpec(files)).toMatchObject({
      architecture: 'llama',
      vocabSize: TOKENS.length,
      contextLength: 512,
      eosIds: [258],
      tokenizerKind: 'bpe',
      names: {},
    });
    expect(await readCacheShape(files)).toEqual({ perToken: 2 * 2 * 2 * 16, context: 512 });
  });

  it('has a decoder with its matrices in blocks, for the engine', async () => {
    const files = await locate(join(await modelFolder(ONE), 'small.gguf'));
    const decoder = await readDecoder(files, 128);
    expect(decoder).toMatchObject({
      vocabSize: TOKENS.length,
      embedding: { format: 'q8_0', shape: [TOKENS.length, 64] },
      head: { weight: { format: 'q8_0' } },
      finalNorm: { weight: { type: 1 } },
    });
    expect(decoder?.layers).toHaveLength(2);
    const [choice] = files.choices;
    expect(choice && candidateOf(choice, decoder)).toMatchObject({
      device: 'cpu',
      weightFiles: [expect.any(String)],
      decoder,
    });
  });

  it('has a tokenizer and a template, on the event loop and on the thread', async () => {
    const files = await locate(join(await modelFolder(ONE), 'small.gguf'));
    const { tokens } = await readSpec(files);
    const { tokenizer, templates } = await openText(files, { tokens, threadEntry: builtThread });
    try {
      expect(templates.map(({ name, file, reason }) => [name, file, reason])).toEqual([
        ['default', 'small.gguf', undefined],
      ]);
      const ids = await tokenizer.encode('the<|end|>', { addSpecialTokens: false });
      expect(ids).toEqual([256, 'e'.charCodeAt(0), 258]);
      const long = await tokenizer.encode(LONG, { addSpecialTokens: false });
      expect([long.length, long.slice(0, 3)]).toEqual([3000, [256, 'e'.charCodeAt(0), ' '.charCodeAt(0)]]);
      expect(tokenizer.decode(long)).toBe(LONG);
    } finally {
      await tokenizer.close();
    }
  });

  it('is named in the report about a token that its tokenizer lacks', async () => {
    const filler = { 'tokenizer.ggml.tokens': TOKENS.with(258, '[PAD258]') };
    const token_type = new Int32Array(TOKENS.length).fill(1).fill(3, 257).fill(5, 258);
    const bytes = ggufBytes(smallLlama({ ...filler, 'tokenizer.ggml.token_type': token_type }));
    const folder = await modelFolder({ ...NOTHING, 'small.gguf': bytes });
    const { tokens } = await readSpec(await locate(join(folder, 'small.gguf')));
    expect(tokens.differences).toEqual({
      count: 1,
      first: ['no file states the id of "[PAD258]" in small.gguf'],
      files: ['small.gguf'],
    });
  });

  it('does not use the configuration of the folder', async () => {
    const beside = { 'config.json': { ...CONFIG, vocab_size: 7 }, 'generation_config.json': { eos_token_id: 1 } };
    const folder = await modelFolder({ ...ONE, ...beside });
    expect(await readSpec(await locate(join(folder, 'small.gguf')))).toMatchObject({
      vocabSize: TOKENS.length,
      eosIds: [258],
    });
    const broken = await modelFolder({ ...ONE, 'config.json': '{', 'tokenizer_config.json': '{' });
    expect(await readSpec(await locate(join(broken, 'small.gguf')))).toMatchObject({ eosIds: [258] });
  });

  it('yields to a tokenizer.json beside it, with the files of that', async () => {
    const stages = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
    const tokenizer = { ...TOKENIZER, ...stages, model: { ...TOKENIZER.model, vocab: { a: 0, z: 1 } } };
    const folder = await modelFolder({ ...ONE, 'tokenizer.json': tokenizer });
    const files = await locate(join(folder, 'small.gguf'));
    expect(files.tokenizerFile).toBe(join(folder, 'tokenizer.json'));
    const opened = await openText(files, { tokens: { added: [], named: {} } });
    expect(await opened.tokenizer.encode('az', { addSpecialTokens: false })).toEqual([0, 1]);
    expect(opened.templates.map(({ file }) => file)).toEqual(['small.gguf']);
    await opened.tokenizer.close();
  });

  it.each([
    ['tokenizer_config.json', { chat_template: `${TEMPLATE} ` }],
    ['small.gguf', { bos_token: '<|begin|>' }],
  ])('has the template of %s beside a tokenizer.json and the configuration %j', async (file, config) => {
    const stages = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
    const beside = { 'tokenizer.json': { ...TOKENIZER, ...stages }, 'tokenizer_config.json': config };
    const files = await locate(join(await modelFolder({ ...ONE, ...beside }), 'small.gguf'));
    const { templates, tokenizer } = await openText(files, { tokens: { added: [], named: {} } });
    await tokenizer.close();
    expect(templates.map((one) => [one.file, one.reason])).toEqual([[file, undefined]]);
  });

  it('with an unknown tokenizer needs a tokenizer.json beside it', async () => {
    const unknown = { ...NOTHING, 'a.gguf': ggufBytes(smallLlama({ 'tokenizer.ggml.pre': 'unheard-of' })) };
    expect(await problemsFor(unknown, {}, 'a.gguf')).toEqual([
      expect.stringMatching(/^a\.gguf has "tokenizer\.ggml\.pre" "unheard-of"; allowed: /),
    ]);
    const folder = await modelFolder({ ...unknown, 'tokenizer.json': TOKENIZER });
    const spec = await readSpec(await locate(join(folder, 'a.gguf')));
    expect(spec).toMatchObject({ eosIds: [258], tokenizerKind: 'bpe' });
  });

  it('yields to a template file beside it', async () => {
    const folder = await modelFolder({ ...ONE, 'chat_template.jinja': TEMPLATE });
    const { templates, tokenizer } = await openText(await locate(join(folder, 'small.gguf')), {
      tokens: { added: [], named: {} },
    });
    await tokenizer.close();
    expect(templates.map(({ file }) => file)).toEqual(['chat_template.jinja']);
  });

  it.each<[string, Files, Wish, string, string[]]>([
    [
      'of an unknown architecture',
      { ...NOTHING, 'a.gguf': ggufBytes(smallLlama({ 'general.architecture': 'mamba' })) },
      {},
      'a.gguf',
      [expect.stringMatching(/^a.gguf has .*"general.architecture"/)],
    ],
    [
      'that is damaged',
      { ...NOTHING, 'a.gguf': GGUF.subarray(0, -64) },
      {},
      'a.gguf',
      [expect.stringMatching(/^a.gguf is cut off/)],
    ],
    [
      'of another dtype',
      ONE,
      { dtype: 'q4' },
      'small.gguf',
      ['small.gguf has the dtype q8_0, and not q4: use --dtype auto'],
    ],
    [
      'for a device that runs no checkpoints',
      ONE,
      { devices: ['coreml'] },
      'small.gguf',
      ['small.gguf does not run on coreml: use --device cpu, webgpu or cuda'],
    ],
    ['in another format', ONE, { format: 'onnx' }, 'small.gguf', ['small.gguf is not in the format onnx']],
    [
      'with a broken tokenizer.json beside it',
      { ...ONE, 'tokenizer.json': '' },
      {},
      'small.gguf',
      ['tokenizer.json is empty'],
    ],
  ])('%s is refused', async (_, files, wish, file, problems) => {
    expect(await problemsFor(files, wish, file)).toEqual(problems);
  });

  it('that does not state the context needs --context, and its key is named', async () => {
    const { 'llama.context_length': _, ...metadata } = smallLlama().metadata ?? {};
    const folder = await modelFolder({ ...NOTHING, 'a.gguf': ggufBytes({ metadata, tensors: llamaTensors() }) });
    const files = await locate(join(folder, 'a.gguf'));
    expect(await problemsIn(folder, readSpec(files))).toEqual([
      'a.gguf lacks "llama.context_length": set --context to the number of tokens of prompt and output together',
    ]);
    expect(await readSpec(files, { context: 64 })).toMatchObject({ contextLength: 64 });
  });

  it('of floats is selected by its dtype, and quantized by q8', async () => {
    const floats = ggufBytes({ ...smallLlama({ 'general.file_type': 1 }), tensors: llamaTensors('f16') });
    const files = { ...NOTHING, 'a.gguf': floats };
    expect(await chosenIn(files, { dtype: 'fp16' }, 'a.gguf')).toEqual(['cpu a.gguf fp16']);
    expect(await chosenIn(files, {}, 'a.gguf')).toEqual(['cpu a.gguf f16']);
    const { choices } = await locate(join(await modelFolder(files), 'a.gguf'), { dtype: 'q8' });
    expect(choices).toMatchObject([{ dtype: 'q8', quantize: 'q8' }]);
  });
});

describe('a folder', () => {
  const PARTS = splitGguf(smallLlama(), { parts: [['token_embd.weight'], Object.keys(llamaTensors()).slice(1)] });

  it.each<[string, Files, Wish, string[]]>([
    ['with one GGUF file', ONE, {}, ['cpu small.gguf q8_0']],
    ['with one split model', { ...NOTHING, ...PARTS }, {}, [`cpu ${partName('model', 0, 2)} q8_0`]],
    [
      'with a projection of images and a matrix of importance beside the model',
      { ...ONE, 'mmproj-F16.gguf': 'x', 'small-mmproj-f16.gguf': 'x', 'small.imatrix.gguf': 'x', 'imatrix.gguf': 'x' },
      {},
      ['cpu small.gguf q8_0'],
    ],
    ['with an ONNX file beside it', { 'small.gguf': GGUF }, {}, ['cpu model.onnx fp32']],
    [
      'with an ONNX file beside it, in the format gguf',
      { 'small.gguf': GGUF },
      { format: 'gguf' },
      ['cpu small.gguf q8_0'],
    ],
    [
      'with a checkpoint beside it',
      { 'onnx/model.onnx': undefined, 'model.safetensors': safetensorsBytes(safetensors('BF16')), 'small.gguf': GGUF },
      {},
      ['cpu model.safetensors bf16'],
    ],
    [
      'with a broken configuration',
      { ...ONE, 'config.json': '{', 'genai_config.json': '{' },
      {},
      ['cpu small.gguf q8_0'],
    ],
  ])('%s has these weights', async (_, files, wish, chosen) => {
    expect(await chosenIn(files, wish)).toEqual(chosen);
  });

  it.each<[string, Files, Wish, string[]]>([
    [
      'with several models',
      { ...ONE, 'b.gguf': GGUF, ...PARTS },
      {},
      ['*.gguf matches 3 models: b.gguf, model-00001-of-00002.gguf, small.gguf. Use --model FOLDER/b.gguf'],
    ],
    [
      'with a broken ONNX file',
      { 'small.gguf': GGUF, 'onnx/model.onnx': 'x' },
      {},
      ['onnx/model.onnx is not an ONNX model'],
    ],
    ['with only a projection', { ...NOTHING, 'mmproj.gguf': GGUF }, { format: 'gguf' }, ['*.gguf is missing']],
    ['without a GGUF file', NOTHING, { format: 'gguf' }, ['*.gguf is missing']],
    [
      'that lacks a part',
      { ...NOTHING, ...PARTS, [partName('model', 0, 2)]: undefined },
      {},
      ['model-00001-of-00002.gguf is missing'],
    ],
  ])('%s is refused', async (_, files, wish, problems) => {
    expect(await problemsFor(files, wish)).toEqual(problems);
  });

  it('of the hub cache has links to blobs', async () => {
    const snapshot = await linked(await modelFolder({ ...NOTHING, ...PARTS }));
    const { choices, derived } = await locate(join(snapshot, partName('model', 1, 2)));
    expect(choices[0]?.weightFiles.map((file) => basename(file))).toEqual(['hash0', 'hash1']);
    expect(derived?.tensors.get('lm_head.weight')?.file).toBe(1);
    expect((await locate(snapshot)).choices[0]?.modelFile).toBe(join(snapshot, partName('model', 0, 2)));
  });
});

describe('a path', () => {
  it('may be a link of the operator to a GGUF file of another folder', async () => {
    const target = join(await realpath(await modelFolder(ONE)), 'small.gguf');
    const folder = await modelFolder(NOTHING);
    symlinkSync(target, join(folder, 'current.gguf'));
    symlinkSync(target, join(folder, 'current'));
    for (const link of ['current.gguf', 'current'])
      expect((await locate(join(folder, link))).choices[0]?.modelFile).toBe(target);
    expect(modelName({ model: join(folder, 'current.gguf') })).toBe('current');
    // The operator has named the folder, and not the link in it.
    expect(await problemsIn(folder, locate(folder))).toEqual([
      expect.stringContaining('current.gguf is a link that leads out of the model folder'),
    ]);
  });

  it('may be a GGUF file with another name', async () => {
    const folder = await modelFolder({ ...NOTHING, 'sha256-0123': GGUF, other: 'GGU' });
    expect((await locate(join(folder, 'sha256-0123'))).choices[0]?.dtype).toBe('q8_0');
    expect(await problemsIn(folder, locate(join(folder, 'other')))).toEqual([
      'other is a file: use its folder, or a .gguf file',
    ]);
  });
});

describe('a part of a split model', () => {
  const names = Object.keys(llamaTensors());
  const PARTS = splitGguf(smallLlama(), { parts: [names.slice(0, 3), names.slice(3)] });
  const [FIRST, SECOND] = [partName('model', 0, 2), partName('model', 1, 2)];

  it.each<[string, (path: string) => void, string]>([
    [
      'a link out of the folder',
      (path) => symlinkSync('/etc/hostname', path),
      'is a link that leads out of the model folder',
    ],
    ['a folder', (path) => mkdirSync(path), 'is not a regular file'],
    ['a pipe', (path) => execFileSync('mkfifo', [path]), 'is not a regular file'],
  ])('that is %s is refused', async (_, make, problem) => {
    const folder = await modelFolder({ ...NOTHING, ...PARTS, [SECOND]: undefined });
    make(join(folder, SECOND));
    const problems = await problemsIn(folder, locate(join(folder, FIRST)));
    expect(problems).toEqual([expect.stringContaining(`${SECOND} ${problem}`)]);
  });
});

describe('the name of a model', () => {
  it.each([
    ['small-Q4_K_M.gguf', 'small-Q4_K_M'],
    ['small-00002-of-00003.gguf', 'small'],
    ['models/dir/small.GGUF', 'small'],
    ['small-00004-of-00003.gguf', 'small-00004-of-00003'],
  ])('of the file %s is %s', async (file, name) => {
    const folder = await modelFolder({ ...NOTHING, [file]: GGUF });
    expect(modelName({ model: join(folder, file) })).toBe(name);
    expect(modelPath({ model: join(folder, file) })).toBe(join(folder, file));
  });

  it('of a folder with dots keeps them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'v1.5-'));
    expect(modelName({ model: folder })).toBe(basename(folder));
  });
});
