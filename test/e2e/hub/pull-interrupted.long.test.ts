/** A pull that is interrupted: the next one continues it, and no reader of the cache sees a partial file. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LARGE, Puller, pathsIn, WEIGHTS, WEIGHTS_FILE } from '../../support/hub-models.ts';
import { HubServer, sha256 } from '../../support/hub-server.ts';
import { CLI } from '../../support/worker.ts';

let hub: HubServer;
let me: Puller;
beforeAll(async () => {
  hub = await HubServer.start({ 'org/large': { files: LARGE } });
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
});

describe('a pull that is interrupted', () => {
  const blob = (): string => me.blob('large', sha256(WEIGHTS));
  const sizeOf = (path: string): Promise<number> =>
    stat(path).then(
      ({ size }) => size,
      () => 0,
    );

  test('by a cut connection continues where it was, and reports the reason', async () => {
    hub.fail(WEIGHTS_FILE, { cut: 700_000 });
    const { code, stderr } = await me.pull(['org/large']);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /onnx\/model_q4\.onnx: the connection to 127\.0\.0\.1:\d+ broke \(ECONNRESET\); try 2 of 5 in \d\.\d s/,
    );
    expect(Buffer.compare(await readFile(blob()), WEIGHTS)).toBe(0);
    expect(hub.triesOf(WEIGHTS_FILE).map(({ range }) => range)).toEqual([
      undefined,
      expect.stringMatching(/^bytes=[1-9]\d*-$/),
    ]);
  });

  test('by the end of its process continues in the next: no byte is sent twice, and no partial file is visible', async () => {
    hub.fail(WEIGHTS_FILE, { hang: 1_200_000 });
    const child = spawn(process.execPath, [CLI, 'pull', 'org/large'], {
      env: { PATH: process.env['PATH'] ?? '', ...me.environment() },
      stdio: 'ignore',
    });
    while ((await sizeOf(`${blob()}.incomplete`)) < 1_200_000) await sleep(20);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await pathsIn(me.snapshot('large'))).toEqual(['config.json', 'tokenizer.json', 'tokenizer_config.json']);
    expect(await pathsIn(join(me.cacheOf('large'), 'refs'))).toEqual([]);
    hub.seen.length = 0;
    const { code, stderr } = await me.pull(['org/large']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^Pulling org\/large \(c0ffeec0\): 1 file, 2\.00 MB; dtype q4/);
    expect(stderr).not.toContain('waiting');
    expect(Buffer.compare(await readFile(blob()), WEIGHTS)).toBe(0);
    expect(hub.sentOf(WEIGHTS_FILE)).toBe(WEIGHTS.byteLength - 1_200_000);
    expect(hub.triesOf('config.json')).toEqual([]);
    expect((await pathsIn(join(me.cacheOf('large'), 'blobs'))).filter((name) => name.includes('incomplete'))).toEqual(
      [],
    );
  });

  test('by damaged data, twice, exits 1 with the reason and leaves nothing of the file', async () => {
    hub.fail(WEIGHTS_FILE, 'wrong bytes', 'wrong bytes');
    const { code, stdout, stderr } = await me.pull(['org/large']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/onnx\/model_q4\.onnx arrived damaged twice: its checksum is not/);
    expect(
      (await pathsIn(join(me.cacheOf('large'), 'blobs'))).filter((name) => name.startsWith(sha256(WEIGHTS))),
    ).toEqual([]);
  });

  test('by the lock of another machine reports who has it and how to break it, and ends when it is removed', async () => {
    const lock = join(me.home, 'hub', '.locks', 'models--org--large', 'rbees-workerd.lock');
    await mkdir(dirname(lock), { recursive: true });
    await writeFile(lock, `7 on elsewhere since ${new Date(Date.now() - 65_000).toISOString()}`);
    const child = spawn(process.execPath, [CLI, 'pull', 'org/large'], {
      env: { PATH: process.env['PATH'] ?? '', ...me.environment() },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [report] = (await once(child.stderr.setEncoding('utf8'), 'data')) as [string];
    expect(report).toMatch(
      /^Another pull of org\/large \(process 7 on elsewhere\) has the lock for \d\d s: waiting for it\. If that process is gone, remove (.+)\n$/,
    );
    expect(report).toContain(lock);
    await rm(lock);
    expect((await once(child, 'exit'))[0]).toBe(0);
  });

  test('by a second one of the same model: one downloads, the other waits and finds the files', async () => {
    hub.fail(WEIGHTS_FILE, { cut: 500_000 });
    const runs = await Promise.all([me.pull(['org/large']), me.pull(['org/large'])]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0]);
    expect(hub.triesOf(WEIGHTS_FILE)).toHaveLength(2);
    expect(Buffer.compare(await readFile(blob()), WEIGHTS)).toBe(0);
  });
});
