/** Folders with a checkpoint: the choice between it and .onnx files, by device, dtype and format. */
import { statSync } from 'node:fs';
import { realpath, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { candidateOf } from '../../../src/lifecycle/load-model.ts';
import { readDecoder } from '../../../src/model/checkpoint/read-decoder.ts';
import type { DtypeChoice, FormatChoice } from '../../../src/model/dtypes.ts';
import { locateModel } from '../../../src/model/locate.ts';
import type { DeviceName } from '../../../src/protocol/devices.ts';
import { onnxBytes } from '../../onnx/onnx-bytes.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { checkpointNamed } from '../../support/checkpoints/models.ts';
import { CONFIG, type Files, modelFolder, problemsIn } from '../folders.ts';
import { llamaTensors, safetensorsBytes } from './safetensors-bytes.ts';

const NONE = { 'onnx/model.onnx': undefined };
const CHECKPOINT = safetensorsBytes(llamaTensors('BF16'));
const ONLY = { ...NONE, 'model.safetensors': CHECKPOINT };

interface Wish {
  readonly dtype?: DtypeChoice;
  readonly devices?: readonly DeviceName[];
  readonly format?: FormatChoice;
}

async function filesFor(files: Files, { dtype = 'auto', devices = ['cpu'], format = 'auto' }: Wish): Promise<string[]> {
  const folder = await modelFolder(files);
  const { choices } = await locateModel(folder, dtype, devices, format);
  return choices.map((choice) => `${choice.device} ${relative(folder, choice.modelFile)} ${choice.dtype}`);
}
const problemsFor = async (files: Files, { dtype = 'auto', devices = ['cpu'], format = 'auto' }: Wish = {}) => {
  const folder = await modelFolder(files);
  return problemsIn(folder, locateModel(folder, dtype, devices, format));
};

describe('a checkpoint', () => {
  it('is chosen where the folder has no ONNX file, with its files, its size and the reason', async () => {
    const folder = await modelFolder(ONLY);
    const file = join(folder, 'model.safetensors');
    const { choices, dtypes } = await locateModel(folder, 'auto', ['cuda-0', 'coreml', 'webgpu', 'cpu']);
    const common = {
      dtype: 'bf16',
      modelFile: file,
      weightFiles: [await realpath(file)],
      bytes: CHECKPOINT.length,
      checkpoint: expect.objectContaining({ dtype: 'bf16', modelFile: file }),
    };
    expect(choices).toEqual([
      { ...common, device: 'cuda-0', reason: 'a checkpoint, half floats are native' },
      { ...common, device: 'webgpu', reason: 'a checkpoint, computed in float32' },
      { ...common, device: 'cpu', reason: 'a checkpoint, computed in float32' },
    ]);
    expect(dtypes).toEqual(['bf16']);
  });

  it.each<[string, Files, Wish, string[]]>([
    ['yields to an ONNX file', { 'model.safetensors': CHECKPOINT }, {}, ['cpu onnx/model.onnx fp32']],
    [
      'is selected by its dtype',
      { 'model.safetensors': CHECKPOINT },
      { dtype: 'bf16' },
      ['cpu model.safetensors bf16'],
    ],
    [
      'is quantized to q4, on each device that computes it',
      ONLY,
      { dtype: 'q4', devices: ['cuda-0', 'webgpu', 'coreml', 'cpu'] },
      ['cuda-0 model.safetensors q4', 'webgpu model.safetensors q4', 'cpu model.safetensors q4'],
    ],
    ['is quantized to q8 under its older name', ONLY, { dtype: 'quantized' }, ['cpu model.safetensors q8']],
    [
      'is not quantized where an ONNX file has the dtype',
      { ...NONE, 'onnx/model_q4.onnx': onnxBytes(), 'model.safetensors': CHECKPOINT },
      { dtype: 'q4' },
      ['cpu onnx/model_q4.onnx q4'],
    ],
    [
      'is quantized beside an ONNX file of the dtype, if the format says so',
      { ...NONE, 'onnx/model_q4.onnx': onnxBytes(), 'model.safetensors': CHECKPOINT },
      { dtype: 'q4', format: 'safetensors' },
      ['cpu model.safetensors q4'],
    ],
    [
      'is selected by the format',
      { 'model.safetensors': CHECKPOINT },
      { format: 'safetensors' },
      ['cpu model.safetensors bf16'],
    ],
    ['is not read where an ONNX file suits', { 'model.safetensors': 'broken' }, {}, ['cpu onnx/model.onnx fp32']],
    [
      'of full floats is selected by fp32',
      { ...NONE, 'model.safetensors': safetensorsBytes(llamaTensors('F32')) },
      { dtype: 'fp32' },
      ['cpu model.safetensors fp32'],
    ],
    [
      'of half floats serves the devices beside an ONNX file of the requested dtype',
      { ...NONE, 'onnx/model_fp16.onnx': onnxBytes(), 'model.safetensors': safetensorsBytes(llamaTensors('F16')) },
      { dtype: 'fp16', devices: ['cuda-0', 'cpu'] },
      ['cuda-0 onnx/model_fp16.onnx fp16', 'cpu onnx/model_fp16.onnx fp16'],
    ],
  ])('%s', async (_, files, wish, choices) => {
    expect(await filesFor(files, wish)).toEqual(choices);
  });

  it.each<[string, Files, Wish, string]>([
    [
      'of another dtype names the dtype that the folder has, and those that the engine makes of it',
      ONLY,
      { dtype: 'q4f16' },
      'onnx/model_q4f16.onnx or model_q4f16.onnx is missing (dtype q4f16); the folder has model.safetensors (bf16, q8, q4): use --dtype auto',
    ],
    [
      'of another float names it too',
      ONLY,
      { dtype: 'fp16' },
      'onnx/model_fp16.onnx or model_fp16.onnx is missing (dtype fp16); the folder has model.safetensors (bf16, q8, q4): use --dtype auto',
    ],
    [
      'that is missing names the ONNX files',
      {},
      { dtype: 'bf16' },
      'model.safetensors or model.safetensors.index.json is missing (dtype bf16); the folder has onnx/model.onnx (fp32): use --dtype auto',
    ],
    [
      'without its index names the files that the folder has',
      { ...NONE, 'model-00001-of-00002.safetensors': CHECKPOINT },
      {},
      'model.safetensors.index.json is missing: pull the model again; the folder has model-00001-of-00002.safetensors',
    ],
    [
      'that could be quantized is missing: the ONNX files of the folder are no floats of a checkpoint',
      {},
      { dtype: 'q4' },
      'onnx/model_q4.onnx, model_q4.onnx or model.safetensors is missing (dtype q4); the folder has onnx/model.onnx (fp32): use --dtype auto',
    ],
    [
      'on Core ML is not quantized either',
      ONLY,
      { dtype: 'q8', devices: ['coreml'] },
      'model.safetensors does not run on coreml: use --device cpu, webgpu or cuda',
    ],
    [
      'on Core ML names the devices that compute it',
      ONLY,
      { devices: ['coreml'] },
      'model.safetensors does not run on coreml: use --device cpu, webgpu or cuda',
    ],
    [
      'that is excluded by the format',
      ONLY,
      { format: 'onnx' },
      'onnx/model.onnx or model.onnx is missing; the folder has model.safetensors',
    ],
  ])('%s', async (_, files, wish, problem) => {
    expect(await problemsFor(files, wish)).toEqual([problem]);
  });

  it('still needs a tokenizer.json', async () => {
    expect(await problemsFor({ ...ONLY, 'tokenizer.json': undefined, 'tokenizer.model': 'x' })).toEqual([
      'tokenizer.json is missing',
      'tokenizer.model is not supported: convert it to tokenizer.json',
    ]);
  });
});

/** config.json with one more field. */
const configWith = (field: string, config: object = CONFIG): string =>
  `${JSON.stringify(config).slice(0, -1)}, ${field}}`;

describe('the decoder of a checkpoint', () => {
  it('of a context that needs large rotary tables is refused with the longest context', async () => {
    const folder = await modelFolder(NONE);
    writeCheckpoint(folder, checkpointNamed('llama-2'));
    const files = await locateModel(folder);
    expect(await readDecoder(files, 2 ** 24)).toBeDefined();
    expect(await problemsIn(folder, readDecoder(files, 2 ** 24 + 1))).toEqual([
      'config.json describes a rotary embedding whose tables for 16777217 tokens need 1025 MiB; allowed: 1024 MiB. ' +
        'Use --context 1048576 or less',
    ]);
  });

  it('goes to the engine with the files; a choice of an ONNX file has none', async () => {
    const folder = await modelFolder(NONE);
    const model = checkpointNamed('llama-2');
    writeCheckpoint(folder, model);
    const files = await locateModel(folder);
    const decoder = await readDecoder(files, 2048);
    expect(decoder).toMatchObject({ vocabSize: model.config['vocab_size'], hiddenSize: model.config['hidden_size'] });
    const [choice] = files.choices;
    if (!choice) throw new Error('no choice');
    const { modelFile, weightFiles } = choice;
    const sources = [expect.objectContaining({ path: modelFile, bytes: statSync(modelFile).size })];
    expect(candidateOf(choice, decoder)).toEqual({ device: 'cpu', modelFile, weightFiles, decoder, sources });
    const [quantized] = (await locateModel(folder, 'q4')).choices;
    expect(quantized).toMatchObject({ dtype: 'q4', quantize: 'q4', reason: 'the fp16 weights, quantized at load' });
    expect(quantized && candidateOf(quantized, decoder)).toEqual({ ...candidateOf(choice, decoder), quantize: 'q4' });
    const onnx = await locateModel(await modelFolder());
    expect(await readDecoder(onnx, 2048)).toBeUndefined();
    expect(onnx.choices.map((one) => Object.keys(candidateOf(one, decoder)))).toEqual([
      ['device', 'modelFile', 'weightFiles'],
    ]);
  });

  it('is refused for an unknown field, also for one that a JavaScript object has', async () => {
    const folder = await modelFolder(NONE);
    const { config } = checkpointNamed('llama-2');
    writeCheckpoint(folder, checkpointNamed('llama-2'));
    await writeFile(join(folder, 'config.json'), configWith('"__proto__": 1, "constructor": 2', config));
    expect(await problemsIn(folder, readDecoder(await locateModel(folder), 2048))).toEqual([
      expect.stringMatching(/^config\.json has the unknown field "__proto__" with the value 1; /),
      expect.stringMatching(/^config\.json has the unknown field "constructor" with the value 2; /),
    ]);
  });

  it.each<[Files, RegExp]>([
    [{ 'config.json': { ...CONFIG, model_type: 'unheard-of' } }, /^config\.json .*unheard-of/],
    [
      { 'config.json': undefined, 'genai_config.json': { model: { decoder: {} } } },
      /^config\.json is missing: a checkpoint/,
    ],
    [{ 'config.json': '[]' }, /^config\.json is not a JSON object$/],
    [
      { 'config.json': configWith(`"x": ${'['.repeat(100_000)}${']'.repeat(100_000)}`) },
      /^config\.json nests deeper than 16 levels, which is the limit$/,
    ],
  ])('that cannot be described is a problem of config.json: %#', async (files, problem) => {
    const folder = await modelFolder({ ...ONLY, ...files });
    const located = await locateModel(folder, 'auto', ['cpu'], 'safetensors');
    expect((await problemsIn(folder, readDecoder(located, 2048)))[0]).toMatch(problem);
  });
});
