import { truncate, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DtypeChoice } from '../../src/model/dtypes.ts';
import { locateModel } from '../../src/model/locate.ts';
import type { ChosenWeights } from '../../src/model/weights.ts';
import type { DeviceName } from '../../src/protocol/devices.ts';
import { type Graph, onnxBytes, onnxNaming } from '../onnx/onnx-bytes.ts';
import { type Files, GENAI, genaiFolder, modelFolder, problemsIn } from './folders.ts';

const NONE = { 'onnx/model.onnx': undefined };
const ONNX = onnxBytes();

async function chosen(files: Files, dtype?: DtypeChoice): Promise<ChosenWeights> {
  const { choices } = await locateModel(await modelFolder(files), dtype);
  const [choice] = choices;
  if (!choice || choices.length > 1) throw new Error('one device, one choice');
  return choice;
}
async function problemsOf(files: Files, dtype?: DtypeChoice, devices?: readonly DeviceName[]): Promise<string[]> {
  const folder = await modelFolder(files);
  return problemsIn(folder, locateModel(folder, dtype, devices));
}

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
  ] as const)('of dtype %s are the file %s, in onnx/ or at the root', async (dtype, name) => {
    const kind = dtype === 'quantized' ? 'q8' : dtype;
    for (const path of [`onnx/${name}`, name]) {
      const folder = await modelFolder({ ...NONE, [path]: ONNX });
      expect((await locateModel(folder, dtype)).choices).toEqual([
        {
          device: 'cpu',
          dtype: kind,
          reason: 'selected by --dtype',
          modelFile: join(folder, path),
          weightFiles: [join(folder, path)],
          bytes: ONNX.length,
        },
      ]);
    }
  });

  it('in onnx/ win over those at the root', async () => {
    expect((await chosen({ 'model.onnx': onnxBytes({ tensors: [{}] }) })).bytes).toBe(ONNX.length);
  });

  it('are chosen for each device, and measured once', async () => {
    const files = { 'onnx/model_q4.onnx': ONNX, 'onnx/model_q4f16.onnx': onnxNaming({ gone: 1 }) };
    const folder = await modelFolder(files);
    const devices = ['cuda-0', 'webgpu', 'cpu'] as const;
    await writeFile(join(folder, 'onnx/gone'), 'x');
    const { choices, dtypes } = await locateModel(folder, 'auto', devices);
    expect(choices.map(({ device, dtype }) => [device, dtype])).toEqual([
      ['cuda-0', 'q4f16'],
      ['webgpu', 'q4f16'],
      ['cpu', 'q4'],
    ]);
    expect(dtypes).toEqual(['q4', 'fp32', 'q4f16']);
    expect(await problemsOf(files, 'auto', devices)).toEqual(['onnx/gone is missing']);
    expect(await problemsOf({ ...NONE, ...files }, 'fp16', devices)).toHaveLength(1);
  });

  it('that are missing are reported, with the files that exist instead', async () => {
    expect(await problemsOf({ 'onnx/model_q4.onnx': ONNX }, 'fp16')).toEqual([
      'onnx/model_fp16.onnx or model_fp16.onnx is missing (dtype fp16); the folder has onnx/model_q4.onnx (q4), onnx/model.onnx (fp32): use --dtype auto',
    ]);
    expect(await problemsOf(NONE)).toEqual(['onnx/model.onnx, model.onnx or model.safetensors is missing']);
    expect(await problemsOf({ ...NONE, 'onnx/decoder_model_merged.onnx': ONNX }, 'quantized')).toEqual([
      'onnx/model_quantized.onnx, model_quantized.onnx or model.safetensors is missing (dtype quantized); the folder has onnx/decoder_model_merged.onnx',
    ]);
    const many = Object.fromEntries([1, 2, 3, 4, 5].map((at) => [`part${at}.onnx`, ONNX]));
    expect(await problemsOf({ ...NONE, ...many })).toEqual([
      'onnx/model.onnx, model.onnx or model.safetensors is missing; the folder has part1.onnx, part2.onnx, part3.onnx, 2 more',
    ]);
  });
});

describe('external data', () => {
  it.each([
    'model.onnx_data',
    'model.onnx_data_1',
    'model.onnx.data',
    'weights.bin',
    'data/part-00001',
    `${'long'.repeat(60)}.data`,
    'gewichte_ä_重み',
  ])('is found by the name that the graph states: %s', async (name) => {
    const graph = onnxNaming({ [name]: 1_000 });
    const choice = await chosen({
      'onnx/model.onnx': graph,
      [`onnx/${name}`]: 'x'.repeat(1_000),
      'onnx/model_q4.onnx_data': 'of another dtype',
    });
    expect(choice.weightFiles.map((path) => basename(path))).toEqual(['model.onnx', basename(name)]);
    expect(choice.bytes).toBe(graph.length + 1_000);
  });

  it('is found in constants, in subgraphs, and in files of any size', async () => {
    const external = (location: string) => ({ external: { location, length: '1' } });
    const graph: Graph = {
      tensors: [{ raw: new Uint8Array(70_000_000) }, external('first')],
      constants: [external('second')],
      inside: [{ inside: [{ tensors: [{ raw: new Uint8Array(100_000) }, external('third')] }] }],
    };
    const data = { 'onnx/first': 'x', 'onnx/second': 'x', 'onnx/third': 'x' };
    const { weightFiles } = await chosen({ 'onnx/model.onnx': onnxBytes(graph), ...data });
    expect(weightFiles.map((path) => basename(path))).toEqual(['model.onnx', 'first', 'second', 'third']);
  });

  it('is not derived from text in the weights', async () => {
    const raw = Buffer.from('tensor\x0a\x08location\x12\x04nonerest', 'latin1');
    expect((await chosen({ 'onnx/model.onnx': onnxBytes({ tensors: [{ raw }] }) })).weightFiles).toHaveLength(1);
  });

  it.each([
    [
      'the last of several',
      {
        tensors: [
          { external: { location: 'd', offset: '64', length: '36' } },
          { external: { location: 'd', length: '64' } },
        ],
      },
      100,
    ],
    ['no length: by its shape', { tensors: [{ type: 10, dimensions: [10, 5], external: { location: 'd' } }] }, 100],
    ['two to a byte', { tensors: [{ type: 21, dimensions: [201], external: { location: 'd' } }] }, 101],
  ])('shorter than the graph needs is reported as truncated: %s', async (_, graph, needed) => {
    const files = (length: number): Files => ({ 'onnx/model.onnx': onnxBytes(graph), 'onnx/d': 'x'.repeat(length) });
    expect(await problemsOf(files(needed - 1))).toEqual([
      `onnx/d is cut off: it has ${needed - 1} of the ${needed} bytes that model.onnx needs`,
    ]);
    expect((await chosen(files(needed))).weightFiles).toHaveLength(2);
  });

  it.each([
    [{ length: '1' }, 'has weights in another file, but does not name it'],
    [{ location: 'd', offset: '-1' }, 'has a wrong offset of weights in "d"'],
    [{ location: 'd', length: 'all' }, 'has a wrong length of weights in "d"'],
    [{ location: '', length: '1' }, 'names external data outside the folder ("")'],
    [{ location: '/etc/passwd', length: '1' }, 'names external data outside the folder ("/etc/passwd")'],
    [{ location: '../../x', length: '1' }, 'names external data outside the folder ("../../x")'],
  ])('with the fields %j is refused', async (external, problem) => {
    const graph = onnxBytes({ tensors: [{ external }] });
    expect(await problemsOf({ 'onnx/model.onnx': graph, 'onnx/d': 'x' })).toEqual([`onnx/model.onnx ${problem}`]);
  });
});

describe('an .onnx file', () => {
  it('that is incomplete is reported as truncated, wherever its graph ends', async () => {
    const whole = onnxBytes({ tensors: [{ raw: new Uint8Array(5_000) }], operators: [{ name: 'Add' }] });
    for (const length of [10, 1_000, whole.length - 5]) {
      const folder = await modelFolder({ 'onnx/model.onnx': whole });
      await truncate(join(folder, 'onnx/model.onnx'), length);
      const [problem] = await problemsIn(folder, locateModel(folder));
      expect(problem).toMatch(
        /^onnx\/model\.onnx is cut off: it has [\d,]+ of the 5,0\d\d bytes that its graph needs$/,
      );
    }
  });

  it.each([
    ['a page of HTML', '<!DOCTYPE html><html></html>'],
    ['zeros', new Uint8Array(100)],
    ['text', 'Entry not found'],
    ['a model without a graph', Buffer.from([8, 10])],
    ['a node that is longer than its graph', Buffer.from([0x3a, 4, 0x0a, 100, 0, 0])],
    ['a number without an end', Buffer.alloc(50, 0xff)],
  ])('that is %s is not a model', async (_, content) => {
    expect(await problemsOf({ 'onnx/model.onnx': content })).toEqual(['onnx/model.onnx is not an ONNX model']);
  });
});

describe('the dtype of a GenAI graph', () => {
  const half = { type: 10, dimensions: [100] };
  const full = { type: 1, dimensions: [100] };
  it.each<[string, Graph]>([
    ['fp32', { tensors: [full, { ...half, dimensions: [3] }] }],
    ['fp16', { tensors: [half] }],
    ['q4', { tensors: [full], operators: [{ name: 'Add' }, { name: 'MatMulNBits', bits: 4 }] }],
    ['q4', { tensors: [full], operators: [{ name: 'MatMulNBits' }] }],
    ['q4', { tensors: [full, { type: 21, dimensions: [8] }] }],
    ['q4f16', { tensors: [half], operators: [{ name: 'MatMulNBits', bits: 4 }] }],
    ['q8', { tensors: [half], operators: [{ name: 'MatMulNBits', bits: 8 }] }],
    ['q8', { tensors: [full], operators: [{ name: 'MatMulInteger' }] }],
    ['bnb4', { tensors: [full], operators: [{ name: 'MatMulBnb4' }] }],
  ])('is %s by its contents, whatever its name', async (dtype, graph) => {
    const { choices, dtypes } = await locateModel(await genaiFolder({ 'model.onnx': onnxBytes(graph) }));
    expect([choices[0]?.dtype, dtypes, choices[0]?.reason]).toEqual([dtype, [dtype], 'the only weights available']);
  });

  it('wins over a hub file of the same dtype and adds to the others', async () => {
    const folder = await genaiFolder({
      'genai_config.json': { model: { ...GENAI.model, decoder: { filename: 'here.onnx' } } },
      'here.onnx': onnxBytes({ tensors: [full] }),
      'onnx/model.onnx': onnxBytes(),
      'onnx/model_fp16.onnx': onnxBytes(),
    });
    const { choices, dtypes } = await locateModel(folder, 'auto', ['webgpu', 'cpu']);
    expect(choices.map(({ modelFile }) => relative(folder, modelFile))).toEqual(['onnx/model_fp16.onnx', 'here.onnx']);
    expect(dtypes).toEqual(['fp32', 'fp16']);
  });
});
