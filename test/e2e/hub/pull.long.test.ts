/** `pull` of other revisions, dtypes and external data, and its wrong command lines. */
import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { filesOf, haiku, LARGE, Puller, pathsIn, text, WORDS } from '../../support/hub-models.ts';
import { COMMIT, type HubFile, HubServer } from '../../support/hub-server.ts';
import { startWorker } from '../../support/worker.ts';

/** Shape of the model in test/models/external. */
const LEAST = {
  vocab_size: 64,
  num_hidden_layers: 1,
  hidden_size: 32,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
};
const OLDER = '0123456789abcdef0123456789abcdef01234567';

let hub: HubServer;
let me: Puller;
beforeAll(async () => {
  hub = await HubServer.start({
    'org/haiku': { files: await haiku(), refs: { 'v1.0': OLDER } },
    'org/large': { files: LARGE },
  });
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
});

describe('a pull', () => {
  test('of another revision with the same files downloads none of them again', async () => {
    await me.pull(['org/haiku']);
    hub.seen.length = 0;
    const { code, stdout } = await me.pull(['org/haiku@v1.0']);
    expect([code, stdout.trim()]).toEqual([0, me.snapshot('haiku').replace(COMMIT, OLDER)]);
    expect(hub.seen.filter(({ path }) => !path.startsWith('/api/'))).toEqual([]);
    expect(await pathsIn(stdout.trim())).toHaveLength(6);
  });

  test('copies files if links are disabled', async () => {
    const { code, stdout } = await me.pull(['org/haiku'], { HF_HUB_DISABLE_SYMLINKS: '1' });
    expect(code).toBe(0);
    expect((await readFile(join(stdout.trim(), 'config.json'))).byteLength).toBeGreaterThan(0);
    await expect(readlink(join(stdout.trim(), 'config.json'))).rejects.toMatchObject({ code: 'EINVAL' });
  });

  test('takes the dtype of the worker from the flag or the environment', async () => {
    const { code, stderr } = await me.pull(['org/haiku'], { RBEES_DTYPE: 'q4' });
    expect([code, stderr]).toEqual([1, 'rbees-workerd: org/haiku has no weights of dtype q4; it has fp32.\n']);
    expect((await me.pull(['--dtype', 'fp32', 'org/haiku'], { RBEES_DTYPE: 'q4' })).code).toBe(0);
  });

  test('downloads data that only the graph names', async () => {
    const { graph, data } = await external();
    // The same graph with another name of its data. It has the same length, which is part of the format.
    const renamed = Buffer.from(graph.toString('latin1').replaceAll('model.onnx_data', 'other_data_file'), 'latin1');
    const weights = {
      'onnx/model.onnx': { bytes: renamed, lfs: true },
      'onnx/other_data_file': { bytes: data, lfs: true },
    };
    hub.put('org/external', { files: { ...WORDS, ...weights } });
    const { code, stderr } = await me.pull(['org/external']);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/1 file, 13\.3 kB; external data of the weights/)]);
    expect(await pathsIn(me.snapshot('external'))).toContain('onnx/other_data_file');
  });
});

/** A model of one layer with its weights in a separate file. */
async function external(): Promise<{ graph: Buffer; data: Uint8Array }> {
  const files = await filesOf(join(import.meta.dirname, '..', '..', 'models', 'external'));
  const [graph, data] = [files['model.onnx'], files['model.onnx_data']] as [HubFile, HubFile];
  return { graph: Buffer.from(graph.bytes), data: data.bytes };
}

test('a worker reads weights in a separate file through the links of the cache', async () => {
  const { graph, data } = await external();
  const words = await haiku();
  const config = { ...JSON.parse(Buffer.from((words['config.json'] as HubFile).bytes).toString()), ...LEAST };
  const weights = {
    'onnx/model_q4.onnx': { bytes: graph, lfs: true },
    'onnx/model.onnx_data': { bytes: data, lfs: true },
  };
  const { 'onnx/model.onnx': _, ...others } = words;
  hub.put('org/external', { files: { ...others, ...weights, 'config.json': text(JSON.stringify(config)) } });
  expect((await me.pull(['org/external'])).code).toBe(0);
  const worker = await startWorker({ args: ['--model', 'org/external'], env: me.environment() });
  await worker.kill();
  expect((await worker.line('model.loaded'))['dtype']).toBe('q4');
});

test.each([
  [[], /pull needs one model/],
  [['name'], /"name" is not allowed; allowed: org\/name/],
  [['org/name@../x'], /is not allowed/],
  [['org/name', '--dtype', 'q5'], /--dtype: "q5" is not allowed; allowed: auto, fp32, fp16/],
  [['org/name', '--port', '1'], /Unknown option '--port'/],
] satisfies [string[], RegExp][])('a bad command line exits 2 and names the error: %j', async (args, reason) => {
  const { code, stdout, stderr } = await me.pull(args);
  expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(reason)]);
  expect(hub.seen).toEqual([]);
});
