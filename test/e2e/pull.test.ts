/** `pull`: the real command against a hub on this machine, its cache looked at byte by byte, and a worker on what it brought. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Run, runCli } from '../support/cli.ts';
import { filesOf, freshHome, haiku, noise, pathsIn } from '../support/hub-models.ts';
import { COMMIT, gitSha1, type HubFile, HubServer, sha256 } from '../support/hub-server.ts';
import { all, CLI, startWorker, textOf } from '../support/worker.ts';

const TOKEN = 'hf_never-to-be-seen';
const WEIGHTS = noise(2_000_000);
const text = (content: string): HubFile => ({ bytes: Buffer.from(content) });
/** What the command asks of a repository; nothing that could be run. */
const words = {
  'config.json': text('{}'),
  'tokenizer.json': text('{"model":{}}'),
  'tokenizer_config.json': text('{}'),
  'README.md': text('# Not needed'),
};
const large = { ...words, 'onnx/model_q4.onnx': { bytes: WEIGHTS, lfs: true } };

let hub: HubServer;
let home: string;
beforeAll(async () => {
  const older = '0123456789abcdef0123456789abcdef01234567';
  hub = await HubServer.start({
    'org/haiku': { files: await haiku(), refs: { 'v1.0': older } },
    'org/large': { files: large },
    'org/gated': { files: large, token: TOKEN },
  });
});
afterAll(() => hub.close());
beforeEach(async () => {
  hub.seen.length = 0;
  home = await freshHome();
});

const environment = (more: Record<string, string> = {}) => ({ HF_ENDPOINT: hub.url, HF_HOME: home, ...more });
const pull = (args: readonly string[], more?: Record<string, string>): Promise<Run> =>
  runCli(['pull', ...args], { env: environment(more) });
const snapshot = (name: string): string => join(home, 'hub', `models--org--${name}`, 'snapshots', COMMIT);
const blobs = (name: string): string => join(home, 'hub', `models--org--${name}`, 'blobs');

describe('a pull', () => {
  test('brings what a model needs into the cache as huggingface_hub lays it out, says so, and prints the folder', async () => {
    const { code, stdout, stderr } = await pull(['org/haiku']);
    expect([code, stdout]).toEqual([0, `${snapshot('haiku')}\n`]);
    const [first, ...lines] = stderr.trimEnd().split('\n');
    expect(first).toMatch(
      /^Pulling org\/haiku \(c0ffeec0\): 6 files, 3\.\d\d MB; dtype fp32, the first of q4, .* among fp32$/,
    );
    expect(lines.at(-1)).toMatch(/^onnx\/model\.onnx: 3\.\d\d MB in \d+\.\d s$/);
    const files = await haiku();
    const needed = Object.keys(files)
      .filter((path) => path !== 'README.md')
      .sort();
    expect(needed).toHaveLength(6);
    expect(await pathsIn(snapshot('haiku'))).toEqual(needed);
    for (const path of needed) {
      const { bytes, lfs } = files[path] as HubFile;
      const etag = lfs ? sha256(bytes) : gitSha1(bytes);
      expect(await readlink(join(snapshot('haiku'), path))).toBe(
        `${path.includes('/') ? '../' : ''}../../blobs/${etag}`,
      );
      expect(Buffer.compare(await readFile(join(blobs('haiku'), etag)), bytes)).toBe(0);
    }
    expect((await pathsIn(blobs('haiku'))).every((name) => /^[0-9a-f]{40}$|^[0-9a-f]{64}$/.test(name))).toBe(true);
    expect(await readFile(join(home, 'hub', 'models--org--haiku', 'refs', 'main'), 'utf8')).toBe(COMMIT);
    expect(await readFile(join(home, 'hub', 'CACHEDIR.TAG'), 'utf8')).toMatch(
      /^Signature: 8a477f597d28d172789f06886806bc55\n/,
    );
    expect(await pathsIn(join(home, 'hub', '.locks'))).toEqual([]);
  });

  test('of what is there downloads nothing, is quiet, and prints the folder', async () => {
    await pull(['org/haiku']);
    hub.seen.length = 0;
    expect(await pull(['org/haiku'])).toEqual({ code: 0, stdout: `${snapshot('haiku')}\n`, stderr: '' });
    expect(hub.seen.filter(({ path }) => !path.startsWith('/api/'))).toEqual([]);
  });

  test('of another revision with the same files downloads none of them again', async () => {
    await pull(['org/haiku']);
    hub.seen.length = 0;
    const { code, stdout } = await pull(['org/haiku@v1.0']);
    expect([code, stdout.trim()]).toEqual([
      0,
      snapshot('haiku').replace(COMMIT, '0123456789abcdef0123456789abcdef01234567'),
    ]);
    expect(hub.seen.filter(({ path }) => !path.startsWith('/api/'))).toEqual([]);
    expect(await pathsIn(stdout.trim())).toHaveLength(6);
  });

  test('copies where links are not wanted', async () => {
    const { code, stdout } = await pull(['org/haiku'], { HF_HUB_DISABLE_SYMLINKS: '1' });
    expect(code).toBe(0);
    expect((await readFile(join(stdout.trim(), 'config.json'))).byteLength).toBeGreaterThan(0);
    await expect(readlink(join(stdout.trim(), 'config.json'))).rejects.toMatchObject({ code: 'EINVAL' });
  });

  test('takes the dtype of the worker from the environment, and the flag before it', async () => {
    const { code, stderr } = await pull(['org/haiku'], { RBEES_DTYPE: 'q4' });
    expect([code, stderr]).toEqual([1, 'rbees-workerd: org/haiku has no weights of dtype q4; it has fp32.\n']);
    expect((await pull(['--dtype', 'fp32', 'org/haiku'], { RBEES_DTYPE: 'q4' })).code).toBe(0);
  });

  test('brings data that only the graph names, and a worker reads it through the links', async () => {
    const external = await filesOf(join(import.meta.dirname, '..', 'models', 'external'));
    const graph = Buffer.from((external['model.onnx'] as HubFile).bytes);
    // The same graph, with its data under a name that says nothing: the length of a name is part of the format.
    const renamed = Buffer.from(graph.toString('latin1').replaceAll('model.onnx_data', 'other_data_file'), 'latin1');
    hub.put('org/external', {
      files: {
        ...words,
        'onnx/model_q4.onnx': { bytes: renamed, lfs: true },
        'onnx/other_data_file': { bytes: (external['model.onnx_data'] as HubFile).bytes, lfs: true },
      },
    });
    const { code, stderr } = await pull(['org/external']);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/1 files, 13\.3 kB; which its weights name/)]);
    expect(await pathsIn(snapshot('external'))).toContain('onnx/other_data_file');
  });
});

test('a worker on org/name writes a haiku, and is called by that name everywhere', async () => {
  await pull(['org/haiku']);
  const worker = await startWorker({ args: ['--model', 'org/haiku'], env: environment() });
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

test('a worker on a name that was not pulled exits 1 with the command that pulls it', async () => {
  const { code, stdout } = await runCli(['--port', '0', '--model', 'org/haiku@v1.0'], { env: environment() });
  expect(code).toBe(1);
  expect(stdout).toContain(
    'org/haiku@v1.0 is no folder, and is not in the cache: run rbees-workerd pull org/haiku@v1.0',
  );
});

describe('a pull that is interrupted', () => {
  const blob = (): string => join(blobs('large'), sha256(WEIGHTS));
  const sizeOf = (path: string): Promise<number> =>
    stat(path).then(
      ({ size }) => size,
      () => 0,
    );

  test('by a cut connection goes on where it was, and says why', async () => {
    hub.fail('onnx/model_q4.onnx', { cut: 700_000 });
    const { code, stderr } = await pull(['org/large']);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /onnx\/model_q4\.onnx: the connection to 127\.0\.0\.1:\d+ broke \(UND_ERR_SOCKET\); try 2 of 5 in \d\.\d s/,
    );
    expect(Buffer.compare(await readFile(blob()), WEIGHTS)).toBe(0);
    expect(hub.triesOf('onnx/model_q4.onnx').map(({ range }) => range)).toEqual([
      undefined,
      expect.stringMatching(/^bytes=[1-9]\d*-$/),
    ]);
  });

  test('by the end of its process goes on in the next: not one byte comes twice, and nothing half is seen meanwhile', async () => {
    hub.fail('onnx/model_q4.onnx', { hang: 1_200_000 });
    const child = spawn(process.execPath, [CLI, 'pull', 'org/large'], {
      env: { PATH: process.env['PATH'] ?? '', ...environment() },
      stdio: 'ignore',
    });
    while ((await sizeOf(`${blob()}.incomplete`)) < 1_200_000) await sleep(20);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await pathsIn(snapshot('large'))).toEqual(['config.json', 'tokenizer.json', 'tokenizer_config.json']);
    expect(await pathsIn(join(home, 'hub', 'models--org--large', 'refs'))).toEqual([]);
    hub.seen.length = 0;
    const { code, stderr } = await pull(['org/large']);
    expect(code).toBe(0);
    expect(stderr).not.toContain('waiting');
    expect(Buffer.compare(await readFile(blob()), WEIGHTS)).toBe(0);
    expect(hub.sentOf('onnx/model_q4.onnx')).toBe(WEIGHTS.byteLength - 1_200_000);
    expect(hub.triesOf('config.json')).toEqual([]);
    expect((await pathsIn(blobs('large'))).filter((name) => name.includes('incomplete'))).toEqual([]);
  });

  test('by damage, twice, exits 1 with the reason and leaves nothing of the file', async () => {
    hub.fail('onnx/model_q4.onnx', 'wrong bytes', 'wrong bytes');
    const { code, stdout, stderr } = await pull(['org/large']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/onnx\/model_q4\.onnx came damaged twice: its checksum is not/);
    expect((await pathsIn(blobs('large'))).filter((name) => name.startsWith(sha256(WEIGHTS)))).toEqual([]);
  });

  test('by nobody, twice at once: one downloads, the other waits and finds it done', async () => {
    hub.fail('onnx/model_q4.onnx', { cut: 500_000 });
    const runs = await Promise.all([pull(['org/large']), pull(['org/large'])]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0]);
    expect(hub.triesOf('onnx/model_q4.onnx')).toHaveLength(2);
    expect(Buffer.compare(await readFile(blob()), WEIGHTS)).toBe(0);
  });
});

describe('a token', () => {
  test('opens a gated repository, goes to the hub only, and is told nowhere', async () => {
    hub.fail('onnx/model_q4.onnx', { status: 500 });
    const { code, stdout, stderr } = await pull(['org/gated'], { HF_TOKEN: TOKEN });
    expect(code).toBe(0);
    const tokens = (host: string) =>
      new Set(hub.seen.filter((one) => one.host === host).map((one) => one.authorization));
    expect(tokens('hub')).toEqual(new Set([`Bearer ${TOKEN}`]));
    expect(tokens('cdn')).toEqual(new Set([undefined]));
    const kept = await Promise.all((await pathsIn(home)).map((path) => readFile(join(home, path), 'latin1')));
    expect([stdout, stderr, ...kept].filter((one) => one.includes(TOKEN))).toEqual([]);
  });

  test.each([
    [
      'missing',
      undefined,
      /org\/gated is gated \(401\): ask for access at .*\/org\/gated; set HF_TOKEN to a token that may read it/,
    ],
    ['of somebody else', 'hf_another', /org\/gated is gated \(401\).*; HF_TOKEN may not read it/],
  ])('%s: exit 1, what to do is told, the token is not', async (_, token, reason) => {
    const { code, stderr } = await pull(['org/gated'], token === undefined ? {} : { HF_TOKEN: token });
    expect([code, stderr]).toEqual([1, expect.stringMatching(reason)]);
    expect(stderr).not.toContain('hf_');
    expect(await pathsIn(home)).toEqual([]);
  });
});

describe('what cannot be done exits 1 and says why', () => {
  test('no such repository, no such revision', async () => {
    expect(await pull(['org/nothing'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/org\/nothing is not there, or is private/),
    });
    expect(await pull(['org/large@v9'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has no revision v9/),
    });
  });

  test('offline: what is in the cache will do, what is not will not, and nobody is asked', async () => {
    const offline = { HF_HUB_OFFLINE: '1' };
    expect(await pull(['org/large'], offline)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/HF_HUB_OFFLINE is set, and org\/large is not in the cache/),
    });
    await pull(['org/large']);
    hub.seen.length = 0;
    expect(await pull(['org/large'], offline)).toEqual({ code: 0, stdout: `${snapshot('large')}\n`, stderr: '' });
    expect(await pull(['org/large', '--dtype', 'fp16'], offline)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/model_fp16\.onnx.*is missing/),
    });
    expect(hub.seen).toEqual([]);
  });

  test('no room on the disk', async () => {
    const told = { lfs: { oid: sha256(WEIGHTS), size: 10 ** 15, pointerSize: 134 } };
    hub.put('org/huge', { files: { ...words, 'onnx/model.onnx': { bytes: WEIGHTS, lfs: true, told } } });
    const { code, stderr } = await pull(['org/huge']);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/1000 TB do not fit into .*hub, where .* are free: make room, or set HF_HUB_CACHE/),
    ]);
    expect(hub.triesOf('config.json')).toEqual([]);
  });

  test('a cache that cannot be written', async () => {
    const file = join(home, 'file');
    await writeFile(file, '');
    const { code, stderr } = await pull(['org/large'], { HF_HOME: file });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/file\/hub.* cannot be written \(ENOTDIR\): .*set HF_HOME or HF_HUB_CACHE/),
    ]);
  });

  test('files with hostile names are left where they are', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'outside-'));
    const hostile = [
      '../../../../../../evil',
      `${outside}/evil`,
      'onnx/../../evil',
      'onnx/model_q4.onnx_data/../../../evil',
    ];
    const named = Object.fromEntries(hostile.map((path) => [path, text('evil')]));
    hub.put('org/hostile', { files: { ...named, ...large } });
    expect((await pull(['org/hostile'])).code).toBe(0);
    expect(await pathsIn(snapshot('hostile'))).toEqual([
      'config.json',
      'onnx/model_q4.onnx',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect((await pathsIn(home)).filter((path) => path.includes('evil'))).toEqual([]);
    expect(await pathsIn(outside)).toEqual([]);
    await rm(outside, { recursive: true });
  });

  test('a genai_config.json that names a file outside of the repository', async () => {
    const genai = JSON.stringify({ model: { decoder: { filename: '../../../../etc/passwd' } } });
    hub.put('org/genai', { files: { ...words, 'genai_config.json': text(genai), 'decoder.onnx': text('x') } });
    expect(await pull(['org/genai'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/its \.onnx files are decoder\.onnx/),
    });
  });
});

test.each([
  [[], /pull needs one model/],
  [['org/a', 'org/b'], /pull needs one model/],
  [['name'], /"name" is not allowed; allowed: org\/name/],
  [['../../etc'], /is not allowed; allowed: org\/name/],
  [['org/name@../x'], /is not allowed/],
  [['org/name', '--dtype', 'q5'], /--dtype: "q5" is not allowed; allowed: auto fp32 fp16/],
  [['org/name', '--port', '1'], /Unknown option '--port'/],
] satisfies [string[], RegExp][])('a bad command line exits 2 and names what is wrong: %j', async (args, reason) => {
  const { code, stdout, stderr } = await pull(args);
  expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(reason)]);
  expect(hub.seen).toEqual([]);
});

test('a bad variable of the hub exits 2', async () => {
  expect(await pull(['org/large'], { HF_ENDPOINT: 'nonsense' })).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/HF_ENDPOINT: "nonsense"/),
  });
});
