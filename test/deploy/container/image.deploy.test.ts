/** The image of deploy/container: its content, its configuration, and a worker in it with few rights. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../../support/documents.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { Podman, podmanObstacle } from '../support/podman.ts';
import { endsOf, isReady, openStreams, TOKEN } from '../support/streams.ts';

const IMAGE = 'localhost/rbees-workerd:test';
const MIB = 2 ** 20;
/** `--read-only`, no capabilities, no new privileges, no root, a limit of memory: what a strict cluster asks for. */
const FEW_RIGHTS = [
  '--read-only',
  '--cap-drop=all',
  '--security-opt=no-new-privileges',
  '--memory=512m',
  '--user=65532',
  '--no-healthcheck',
  '--network=host',
];

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));

describe.skipIf(podmanObstacle !== undefined)(`an image ${podmanObstacle ?? ''}`, { timeout: 300_000 }, () => {
  let podman: Podman;
  beforeAll(async () => {
    podman = new Podman();
    await podman.buildFromHost(IMAGE);
  });
  afterAll(() => podman?.close());

  test('the build context has the files that the build reads, and nothing else', async () => {
    const file = join(podman.folder, 'Containerfile.context');
    writeFileSync(file, 'FROM scratch\nCOPY . /\n');
    await podman.build('localhost/context', file, ROOT);
    const root = await podman.ok('image', 'mount', 'localhost/context');
    const files = filesBelow(root);
    expect([...new Set(files.map((name) => name.split('/')[0]))].sort()).toEqual(
      ['.npmrc', 'LICENSE', 'deploy', 'models', 'openapi.json', 'openapi.yaml', 'package-lock.json', 'package.json']
        .concat(['scripts', 'src', 'tsconfig.client.json', 'tsconfig.json'])
        .sort(),
    );
    expect(files.filter((name) => name.startsWith('scripts/'))).toContain('scripts/prepare.mjs');
    const bytes = files.reduce((sum, name) => sum + statSync(join(root, name)).size, 0);
    expect(bytes / MIB).toBeLessThan(12);
  });

  test('has no shell, no package manager, no tests, no settings, and no file that its user may change', async () => {
    const root = await podman.ok('image', 'mount', IMAGE);
    const files = filesBelow(root);
    const programs = files.filter((name) => /^(?:usr\/)?s?bin\//.test(name));
    expect(programs).toEqual(['usr/bin/node']);
    const changeable = files.filter((name) => {
      const { uid, mode } = statSync(join(root, name));
      return uid !== 0 || (mode & 0o022) !== 0;
    });
    expect(changeable).toEqual([]);
    const parts = files.flatMap((name) => (name.startsWith('app/') ? [name.split('/')[1]] : []));
    expect([...new Set(parts)].sort()).toEqual([
      'LICENSE',
      'dist',
      'healthcheck.cjs',
      'models',
      'node_modules',
      'openapi.json',
      'openapi.yaml',
      'package.json',
    ]);
    expect(files.filter((name) => /\.env$|\.test\.|(?:^|\/)tests?\//.test(name))).toEqual([]);
    const size = Number(await podman.ok('image', 'inspect', '--format', '{{.Size}}', IMAGE));
    expect(size / MIB).toBeLessThan(200);
  });

  test('has the same layer if it is built again with the same time', async () => {
    const layersOf = async (image: string): Promise<string> => {
      await podman.buildFromHost(image, '--timestamp', '1700000000');
      return podman.ok('image', 'inspect', '--format', '{{.RootFS.Layers}}', image);
    };
    expect(await layersOf('localhost/again:1')).toBe(await layersOf('localhost/again:2'));
  });

  test('runs as a user without a name in exec form, and drains at SIGTERM', async () => {
    const [image] = JSON.parse(await podman.ok('image', 'inspect', IMAGE)) as Record<string, unknown>[];
    expect(image?.['Config']).toMatchObject({
      User: '65532:65532',
      Entrypoint: ['/usr/bin/node', '--', '/app/dist/cli.js'],
      Cmd: ['serve'],
      StopSignal: 'SIGTERM',
    });
    expect(image?.['Healthcheck']).toMatchObject({ Test: ['CMD', '/usr/bin/node', '/app/healthcheck.cjs'] });
  });

  test('without a token it ends with code 2, and says why', async () => {
    const { code, stderr } = await podman.run('run', ...FEW_RIGHTS, IMAGE);
    expect(code).toBe(2);
    expect(stderr).toContain('requires --api-token');
  });

  test('serves with few rights, sees its limit of memory, and drains all streams at SIGTERM', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const settings = { RBEES_PORT: port, RBEES_API_TOKEN: TOKEN, RBEES_SHUTDOWN_TIMEOUT: 600 };
    const env = Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
    await podman.ok('run', '--detach', '--name', 'worker', ...FEW_RIGHTS, ...env, IMAGE);
    await eventually(async () => expect(await isReady(url)).toBe(true));

    const { State, HostConfig } = await podman.inspect('worker');
    expect(HostConfig).toMatchObject({ ReadonlyRootfs: true, Memory: 512 * MIB });
    const status = readFileSync(`/proc/${State.Pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m);
    for (const set of ['Prm', 'Eff', 'Bnd']) expect(status).toMatch(new RegExp(`^Cap${set}:\\t0+$`, 'm'));
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    const plan = (await podman.lines('worker')).find(({ event }) => event === 'memory.expected');
    expect(Number(plan?.['available_bytes'])).toBeLessThan(512 * MIB);

    const check = ['exec', 'worker', '/usr/bin/node', '/app/healthcheck.cjs'];
    expect((await podman.run(...check)).code).toBe(0);
    const write = "require('node:fs').writeFileSync('/app/dist/cli.js', '')";
    expect((await podman.run('exec', 'worker', '/usr/bin/node', '-e', write)).stderr).toContain('EROFS');

    const streams = await openStreams(url, 8);
    const stopped = podman.ok('stop', '--time', '610', 'worker');
    for (const last of await endsOf(streams)) expect(last).toMatchObject({ type: 'end', tokens_out: 480 });
    await stopped;
    const draining = (await podman.lines('worker')).find(({ event }) => event === 'worker.draining');
    expect(draining).toMatchObject({ reason: 'sigterm' });
    expect(Number(draining?.['requests_running'])).toBeGreaterThan(0);
    expect((await podman.inspect('worker')).State).toMatchObject({ Status: 'exited', ExitCode: 0 });
  });

  test('the health check fails if no worker listens', async () => {
    const port = await freePort();
    const node = ['--entrypoint', '/usr/bin/node', '--env', `RBEES_PORT=${port}`, IMAGE, '/app/healthcheck.cjs'];
    expect((await podman.run('run', ...FEW_RIGHTS, ...node)).code).toBe(1);
  });
});
