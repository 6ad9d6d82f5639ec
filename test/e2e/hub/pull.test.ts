/**
 * `pull`: the real command against a local hub, its cache compared byte by byte, and a worker on the result.
 */
import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { haiku, LARGE, Puller, pathsIn } from '../../support/hub-models.ts';
import { COMMIT, gitSha1, type HubFile, HubServer, sha256 } from '../../support/hub-server.ts';
import { all, startWorker, textOf } from '../../support/worker.ts';

let hub: HubServer;
let me: Puller;
beforeAll(async () => {
  hub = await HubServer.start({
    'org/haiku': { files: await haiku() },
    'org/large': { files: LARGE },
  });
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
});

describe('a pull', () => {
  test('downloads the files of a model into the cache in the layout of huggingface_hub, reports it, and prints the folder', async () => {
    const { code, stdout, stderr } = await me.pull(['org/haiku']);
    expect([code, stdout]).toEqual([0, `${me.snapshot('haiku')}\n`]);
    const [first, ...lines] = stderr.trimEnd().split('\n');
    expect(first).toMatch(
      /^Pulling org\/haiku \(c0ffeec0\): 6 files, 3\.\d\d MB; dtype fp32 of fp32, for cpu: the only weights available$/,
    );
    expect(lines.at(-1)).toMatch(/^onnx\/model\.onnx: 3\.\d\d MB in \d+\.\d s$/);
    const files = await haiku();
    const needed = Object.keys(files)
      .filter((path) => path !== 'README.md')
      .sort();
    expect(needed).toHaveLength(6);
    expect(await pathsIn(me.snapshot('haiku'))).toEqual(needed);
    for (const path of needed) {
      const { bytes, lfs } = files[path] as HubFile;
      const etag = lfs ? sha256(bytes) : gitSha1(bytes);
      expect(await readlink(join(me.snapshot('haiku'), path))).toBe(
        `${path.includes('/') ? '../' : ''}../../blobs/${etag}`,
      );
      expect(Buffer.compare(await readFile(join(join(me.cacheOf('haiku'), 'blobs'), etag)), bytes)).toBe(0);
    }
    expect(
      (await pathsIn(join(me.cacheOf('haiku'), 'blobs'))).every((name) => /^[0-9a-f]{40}$|^[0-9a-f]{64}$/.test(name)),
    ).toBe(true);
    expect(await readFile(join(me.cacheOf('haiku'), 'refs', 'main'), 'utf8')).toBe(COMMIT);
    expect(await readFile(join(me.home, 'hub', 'CACHEDIR.TAG'), 'utf8')).toMatch(
      /^Signature: 8a477f597d28d172789f06886806bc55\n/,
    );
    expect(await pathsIn(join(me.home, 'hub', '.locks'))).toEqual([]);
  });

  test('of a cached model downloads nothing, is quiet, and prints the folder', async () => {
    await me.pull(['org/haiku']);
    hub.seen.length = 0;
    expect(await me.pull(['org/haiku'])).toEqual({ code: 0, stdout: `${me.snapshot('haiku')}\n`, stderr: '' });
    expect(hub.seen.filter(({ path }) => !path.startsWith('/api/'))).toEqual([]);
  });
});

test('a worker on org/name writes a haiku, and has that name everywhere', async () => {
  await me.pull(['org/haiku']);
  const worker = await startWorker({ args: ['--model', 'org/haiku'], env: me.environment() });
  try {
    const events = await worker.execute({ job_id: 'pulled', prompt: 'Write a haiku about the sea', seed: 42 });
    expect(textOf(events).split('\n').length).toBeGreaterThanOrEqual(3);
    expect(all(events, 'started')[0]).toMatchObject({ model: 'org/haiku' });
    expect(await (await worker.get('/health')).json()).toMatchObject({ model: 'org/haiku' });
    expect((await worker.line('worker.startup'))['model_ref']).toBe('org/haiku');
    expect((await worker.line('model.loaded'))['model_ref']).toBe('org/haiku');
  } finally {
    await worker.kill();
  }
});

test('a worker on a name that is not pulled exits 1 with the command that pulls it', async () => {
  const { code, stdout } = await runCli(['--port', '0', '--model', 'org/haiku@v1.0'], { env: me.environment() });
  expect(code).toBe(1);
  expect(stdout).toContain(
    'org/haiku@v1.0 is neither a folder nor in the hub cache: run rbees-workerd pull org/haiku@v1.0',
  );
});

test.each([
  [['org/a', 'org/b'], /pull needs one model/],
  [['../../etc'], /is not allowed; allowed: org\/name/],
  [['org/name', '--device', 'gpu'], /--device: "gpu" is not allowed; allowed: auto, cpu, cuda/],
] satisfies [string[], RegExp][])('a bad command line exits 2 and names the error: %j', async (args, reason) => {
  const { code, stdout, stderr } = await me.pull(args);
  expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(reason)]);
  expect(hub.seen).toEqual([]);
});

test('a bad variable of the hub exits 2', async () => {
  expect(await me.pull(['org/large'], { HF_ENDPOINT: 'nonsense' })).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/HF_ENDPOINT: "nonsense"/),
  });
});
