/** The records of workers: real folders and files, of living, ended and foreign processes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v4 as uuid } from 'uuid';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newIdentity } from '../../../src/lifecycle/identity.ts';
import { ownLife } from '../../../src/lifecycle/local/process-life.ts';
import { registeredWorkers } from '../../../src/lifecycle/local/registered-workers.ts';
import { localUrl, registerWorker } from '../../../src/lifecycle/local/registration.ts';
import { recordIn, recordName, type WorkerRecord } from '../../../src/lifecycle/local/worker-record.ts';
import { eventually } from '../../support/eventually.ts';

let parent: string;
let folder: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'records-'));
  folder = join(parent, 'own', 'workers');
  await mkdir(folder, { recursive: true, mode: 0o700 });
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const isLinux = process.platform === 'linux';

async function recordOf(more: Partial<WorkerRecord> = {}): Promise<WorkerRecord> {
  return {
    pid: process.pid,
    process: await ownLife(),
    url: 'http://127.0.0.1:8080',
    worker_id: 'w1',
    instance_id: uuid(),
    started_at: new Date().toISOString(),
    version: '0.1.0',
    ...more,
  };
}

async function write(record: WorkerRecord): Promise<string> {
  const name = recordName(record);
  await writeFile(join(folder, name), JSON.stringify(record), { mode: 0o600 });
  return name;
}

/** The pid of a process that has ended. */
async function endedPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0']);
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('the list', () => {
  test('has all workers of hundreds of records, the oldest first', async () => {
    const count = 400;
    const ids = await Promise.all(
      Array.from({ length: count }, async (_, at) => {
        const started_at = new Date(Date.UTC(2026, 0, 1, 0, 0, count - at)).toISOString();
        const record = await recordOf({ worker_id: `w${at}`, started_at });
        await write(record);
        return record.worker_id;
      }),
    );
    const found = await registeredWorkers(folder);
    expect(found.map(({ record }) => record.worker_id)).toEqual(ids.reverse());
    expect(new Set(found.map(({ fate }) => fate))).toEqual(new Set(['alive']));
  });

  test('is empty without a folder', async () => {
    expect(await registeredWorkers(join(parent, 'none', 'workers'))).toEqual([]);
  });

  test('leaves out an ended process, and removes its file', async () => {
    await write(await recordOf({ pid: await endedPid() }));
    const alive = await write(await recordOf());
    expect((await registeredWorkers(folder)).map(({ record }) => recordName(record))).toEqual([alive]);
    expect(await readdir(folder)).toEqual([alive]);
  });

  test.skipIf(!isLinux)('leaves out a process that has the pid of an ended worker', async () => {
    const life = await ownLife();
    await write(await recordOf({ process: life && { ...life, start: '1' } }));
    expect(await registeredWorkers(folder)).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });

  test.skipIf(!isLinux)('leaves out a worker from before the last start of the machine', async () => {
    const life = await ownLife();
    await write(await recordOf({ process: life && { ...life, boot: uuid() } }));
    expect(await registeredWorkers(folder)).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });

  test.skipIf(!isLinux)('keeps a worker of another container, whose pid says nothing here', async () => {
    const life = await ownLife();
    await write(await recordOf({ pid: await endedPid(), process: life && { ...life, namespace: 'pid:[1]' } }));
    expect(await registeredWorkers(folder)).toMatchObject([{ fate: 'unknown' }]);
    expect(await readdir(folder)).toHaveLength(1);
  });

  test('ignores files that are no records, and keeps them', async () => {
    const name = () => recordName({ pid: 1, instance_id: uuid() });
    const secret = join(parent, 'secret');
    await writeFile(secret, JSON.stringify(await recordOf()));
    await writeFile(join(folder, name()), '{"pid":');
    await writeFile(join(folder, name()), JSON.stringify({ ...(await recordOf()), url: 'file:///etc/passwd' }));
    await writeFile(join(folder, name()), JSON.stringify({ ...(await recordOf()), pid: -1 }));
    await writeFile(join(folder, name()), `${JSON.stringify(await recordOf())}${' '.repeat(5000)}`);
    await writeFile(join(folder, 'notes.json'), JSON.stringify(await recordOf()));
    await symlink(secret, join(folder, name()));
    await mkdir(join(folder, name()));
    const before = (await readdir(folder)).sort();
    expect(await registeredWorkers(folder)).toEqual([]);
    expect((await readdir(folder)).sort()).toEqual(before);
  });

  test.skipIf(!isLinux)('does not wait for the writer of a pipe', async () => {
    const pipe = join(folder, recordName({ pid: 1, instance_id: uuid() }));
    const [code] = await once(spawn('mkfifo', [pipe]), 'exit');
    expect(code).toBe(0);
    expect(await registeredWorkers(folder)).toEqual([]);
  });

  test('removes an unfinished file after a minute, and not before', async () => {
    const [old, fresh] = [`${recordName(await recordOf())}.tmp`, `${recordName(await recordOf())}.tmp`];
    for (const name of [old, fresh]) await writeFile(join(folder, name), '{');
    const past = new Date(Date.now() - 120_000);
    await utimes(join(folder, old), past, past);
    expect(await registeredWorkers(folder)).toEqual([]);
    expect(await readdir(folder)).toEqual([fresh]);
  });
});

describe('a folder that another user could have made', () => {
  test('is refused if it is open to others, or its parent is', async () => {
    await write(await recordOf());
    await chmod(folder, 0o755);
    await expect(registeredWorkers(folder)).rejects.toThrow(/is not a folder of this user alone/);
    await chmod(folder, 0o700);
    await chmod(join(parent, 'own'), 0o770);
    await expect(registeredWorkers(folder)).rejects.toThrow(/is not a folder of this user alone/);
  });

  test('is refused if it is a link, even to a folder of this user', async () => {
    await write(await recordOf());
    await symlink(join(parent, 'own'), join(parent, 'link'));
    await expect(registeredWorkers(join(parent, 'link', 'workers'))).rejects.toThrow(/is not a folder of this user/);
  });

  test('gets no record', async () => {
    await rm(join(parent, 'own'), { recursive: true });
    await mkdir(join(parent, 'victim'));
    await symlink(join(parent, 'victim'), join(parent, 'own'));
    registerWorker(folder, newIdentity('w1', '0.1.0'), { address: '127.0.0.1', port: 1 });
    // The record of a second worker shows that the first one had its time.
    const other = join(parent, 'other', 'workers');
    registerWorker(other, newIdentity('w2', '0.1.0'), { address: '127.0.0.1', port: 2 });
    await eventually(async () => expect(await registeredWorkers(other)).toHaveLength(1));
    expect(await readdir(join(parent, 'victim'))).toEqual([]);
  });
});

describe('a record', () => {
  test('of each of 200 workers that start at the same time is complete, and of this user alone', async () => {
    const fresh = join(parent, 'fresh', 'workers');
    const listeners = process.getMaxListeners();
    process.setMaxListeners(0); // A process has one record, except for this one.
    const identities = Array.from({ length: 200 }, (_, at) => newIdentity(`w${at}`, '0.1.0'));
    for (const identity of identities) registerWorker(fresh, identity, { address: '127.0.0.1', port: 8080 });
    await eventually(async () => expect(await registeredWorkers(fresh)).toHaveLength(identities.length));
    process.setMaxListeners(listeners);
    const [name = ''] = await readdir(fresh);
    expect((await lstat(join(fresh, name))).mode & 0o777).toBe(0o600);
    expect((await lstat(fresh)).mode & 0o777).toBe(0o700);
    expect(Object.keys(recordIn(await readFile(join(fresh, name), 'utf8'))).sort()).toEqual(
      ['instance_id', 'pid', 'process', 'started_at', 'url', 'version', 'worker_id'].sort(),
    );
  });

  test.each([
    ['127.0.0.1', 'http://127.0.0.1:80'],
    ['0.0.0.0', 'http://127.0.0.1:80'],
    ['::', 'http://[::1]:80'],
    ['::1', 'http://[::1]:80'],
    ['::ffff:0.0.0.0', 'http://127.0.0.1:80'],
    ['192.0.2.7', 'http://192.0.2.7:80'],
  ])('of a worker on %s has the URL %s', (address, url) => {
    expect(localUrl({ address, port: 80 })).toBe(url);
  });
});
