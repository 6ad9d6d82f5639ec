/**
 * `pull` of all layouts of repositories: GenAI at the root and in folders, weights for a device; and a worker
 * on the result.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { onnxBytes, onnxNaming } from '../../onnx/onnx-bytes.ts';
import { filesOf, Puller, pathsIn, text, WORDS } from '../../support/hub-models.ts';
import { type HubFile, HubServer } from '../../support/hub-server.ts';
import { all, startWorker } from '../../support/worker.ts';

const MODELS = join(import.meta.dirname, '..', '..', 'models');
const FOLDER = 'cpu_and_mobile/cpu-int4-rtn-block-32';

let hub: HubServer;
let me: Puller;
let genai: Record<string, HubFile>;
beforeAll(async () => {
  hub = await HubServer.start({});
  genai = await filesOf(join(MODELS, 'genai'));
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
});

/** The GenAI model with another file name for its graph, which no dtype has. */
function named(filename: string): Record<string, HubFile> {
  const { 'model.onnx': graph, 'genai_config.json': config, ...others } = genai as Record<string, HubFile>;
  const fields = JSON.parse(Buffer.from((config as HubFile).bytes).toString()) as { model: { decoder: object } };
  const decoder = { ...fields.model.decoder, filename };
  const renamed = text(JSON.stringify({ ...fields, model: { ...fields.model, decoder } }));
  return { ...others, [filename]: graph as HubFile, 'genai_config.json': renamed };
}

/** The ids of a worker on this model, and its name and dtype. */
async function served(model: string, dtype = 'auto'): Promise<unknown> {
  const worker = await startWorker({ args: ['--model', model, '--dtype', dtype], env: me.environment() });
  try {
    const body = { job_id: 'pulled', prompt: 'hello', temperature: 0, max_tokens: 8, logprobs: 0 };
    const events = await worker.execute(body);
    expect(events.at(-1)?.data.type).toBe('end');
    const { model_ref, dtype: taken } = await worker.line('model.loaded');
    return { model_ref, dtype: taken, ids: all(events, 'token').map(({ id }) => id) };
  } finally {
    await worker.kill();
  }
}

describe('a GenAI repository', () => {
  test.each(['model.onnx', 'phi-int4-cpu.onnx'])(
    'whose decoder is %s is pulled, and a worker runs it',
    async (file) => {
      hub.put('org/genai', { files: { ...named(file), 'README.md': text('x'), 'vision.onnx': text('not asked for') } });
      const { code, stdout, stderr } = await me.pull(['org/genai']);
      expect([code, stdout]).toEqual([0, `${me.snapshot('genai')}\n`]);
      expect(stderr).toMatch(new RegExp(`; weights ${file}, which genai_config.json names$`, 'm'));
      expect(stderr).toMatch(/: 1 file, \d.*; external data of the weights$/m);
      expect(await pathsIn(me.snapshot('genai'))).toEqual(Object.keys(named(file)).sort());
      const there = await served('org/genai');
      expect(there).toEqual({ ...((await served(join(MODELS, 'genai'))) as object), model_ref: 'org/genai' });
      expect(there).toMatchObject({ dtype: 'q4' });
      hub.seen.length = 0;
      expect(await me.pull(['org/genai'])).toEqual({ code: 0, stdout, stderr: '' });
      expect(hub.seen.filter(({ path }) => !path.startsWith('/api/'))).toEqual([]);
    },
  );

  test('of another dtype than requested is refused before its data is downloaded', async () => {
    hub.put('org/genai', { files: named('phi.onnx') });
    const { code, stderr } = await me.pull(['org/genai', '--dtype', 'fp16']);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/\(dtype fp16\); the folder has phi\.onnx \(q4\)/)]);
    expect(hub.triesOf('model.onnx.data')).toEqual([]);
    expect((await me.pull(['org/genai', '--dtype', 'q4'])).code).toBe(0);
  });

  test('with models in folders names them; one of them can be pulled and run by that name, without the others', async () => {
    const inFolders = [FOLDER, 'cuda/cuda-fp16'].flatMap((folder) =>
      Object.entries(named('phi.onnx')).map(([path, file]) => [`${folder}/${path}`, file] as const),
    );
    hub.put('org/folders', { files: { ...Object.fromEntries(inFolders), 'config.json': text('{}') } });
    expect(await me.pull(['org/folders'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        `org/folders has no onnx/model*.onnx, no model*.onnx and no model.safetensors; it has models in folders: pull one of org/folders/${FOLDER}, org/folders/cuda/cuda-fp16.`,
      ),
    });
    const name = `org/folders/${FOLDER}`;
    const { code, stdout } = await me.pull([name]);
    expect([code, stdout]).toEqual([0, `${join(me.snapshot('folders'), FOLDER)}\n`]);
    const brought = Object.keys(named('phi.onnx')).map((path) => `${FOLDER}/${path}`);
    expect(await pathsIn(me.snapshot('folders'))).toEqual(brought.sort());
    expect(await served(name)).toMatchObject({ model_ref: name, dtype: 'q4' });
    expect(await me.pull([name], { HF_HUB_OFFLINE: '1' })).toEqual({ code: 0, stdout, stderr: '' });
  });
});

test.each([
  [[], {}, 'onnx/model_q4.onnx'],
  [['--device', 'auto'], {}, 'onnx/model_q4.onnx'],
  [['--device', 'cuda:1'], {}, 'onnx/model_q4f16.onnx'],
  [[], { RBEES_DEVICE: 'webgpu' }, 'onnx/model_q4f16.onnx'],
  [['--device', 'cpu'], { RBEES_DEVICE: 'webgpu' }, 'onnx/model_q4.onnx'],
] satisfies [string[], Record<string, string>, string][])(
  'weights suit the device: %j %j',
  async (flags, environment, weights) => {
    const suffixes = ['', '_fp16', '_q4', '_q4f16'];
    const files = suffixes.map((suffix) => [`onnx/model${suffix}.onnx`, { bytes: onnxBytes(), lfs: true }] as const);
    hub.put('org/several', { files: { ...WORDS, ...Object.fromEntries(files) } });
    expect((await me.pull(['org/several', ...flags], environment)).code).toBe(0);
    expect((await pathsIn(me.snapshot('several'))).filter((path) => path.endsWith('.onnx'))).toEqual([weights]);
  },
);

test('special_tokens_map.json can replace tokenizer_config.json, and neither is required', async () => {
  const { 'tokenizer_config.json': config, ...others } = await filesOf(join(MODELS, 'hub'));
  const least = { ...others, 'special_tokens_map.json': config as HubFile };
  hub.put('org/least', { files: least });
  expect((await me.pull(['org/least', '--dtype', 'q4'])).code).toBe(0);
  expect(await pathsIn(me.snapshot('least'))).toContain('special_tokens_map.json');
  expect(await served('org/least')).toMatchObject({ dtype: 'q4' });
  hub.put('org/none', { files: others });
  expect((await me.pull(['org/none', '--dtype', 'q4'])).code).toBe(0);
  expect(await served('org/none')).toMatchObject({ dtype: 'q4' });
});

test('data that the graph names and the repository lacks is reported by name, and the downloaded files stay', async () => {
  hub.put('org/lacking', { files: { ...WORDS, 'onnx/model.onnx': { bytes: onnxNaming({ gone: 10 }), lfs: true } } });
  const { code, stdout, stderr } = await me.pull(['org/lacking']);
  expect([code, stdout, stderr]).toEqual([
    1,
    '',
    expect.stringMatching(/cannot be used: onnx\/gone is missing\. Its folder is /m),
  ]);
  expect(await pathsIn(me.snapshot('lacking'))).toContain('onnx/model.onnx');
});
