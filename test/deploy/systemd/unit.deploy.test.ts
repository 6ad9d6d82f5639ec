/**
 * The unit of deploy/systemd: systemd accepts it and counts it as well protected, and its launcher sends the
 * messages that a unit of Type=notify needs. No systemd runs: a socket of the test receives the messages.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../../support/documents.ts';
import { eventually } from '../../support/eventually.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { childrenOf, enginesOf, track } from '../../support/processes.ts';
import { CLI, startWorker, TestWorker } from '../../support/worker.ts';

const FOLDER = join(ROOT, 'deploy', 'systemd');
const UNIT = readFileSync(join(FOLDER, 'rbees-workerd@.service'), 'utf8');
const LAUNCHER = join(FOLDER, 'rbees-workerd-notify');
/** Receives datagrams, which Node.js cannot, and prints each as a line of JSON. */
const RECEIVER = `import json, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
print('"bound"', flush=True)
while True: print(json.dumps(server.recv(4096).decode()), flush=True)`;

const missing = ['systemd-analyze', 'systemd-notify', 'python3', 'bash'].filter(
  (name) => spawnSync('which', [name]).status !== 0,
);
const obstacle = missing.length === 0 ? '' : `${missing.join(', ')}: not installed`;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'unit-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes the unit with the paths of this checkout, and runs a command of systemd-analyze on it. */
function analyze(command: readonly string[], unit = UNIT, dropIn = ''): { code: number | null; output: string } {
  const here = unit
    .replace('/usr/lib/rbees-workerd/rbees-workerd-notify', LAUNCHER)
    .replace('/usr/lib/node_modules/rbees-workerd/dist/cli.js', CLI)
    .replace('/usr/bin/node', process.execPath);
  const place = mkdtempSync(join(folder, 'analyze-'));
  const file = join(place, 'rbees-workerd@8080.service');
  writeFileSync(file, here);
  if (dropIn !== '') {
    mkdirSync(`${file}.d`);
    writeFileSync(join(`${file}.d`, 'gpu.conf'), dropIn);
  }
  const { status, stdout, stderr } = spawnSync('systemd-analyze', [...command, file], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], SYSTEMD_UNIT_PATH: `${place}:` },
  });
  return { code: status, output: stdout + stderr };
}

const seconds = (name: string): number => Number(new RegExp(`^${name}=(\\d+)$`, 'm').exec(UNIT)?.[1]);

describe.skipIf(missing.length > 0)(`the unit ${obstacle}`, () => {
  test('is accepted by systemd, which reports a misspelt setting', () => {
    expect(analyze(['verify', '--man=no'])).toEqual({ code: 0, output: '' });
    expect(analyze(['verify', '--man=no'], UNIT.replace('KillMode', 'KilMode')).output).toContain('KilMode');
  });

  test('is accepted with the drop-in for GPUs, which opens the devices of NVIDIA', () => {
    const dropIn = readFileSync(join(FOLDER, 'gpu.conf'), 'utf8');
    expect(analyze(['verify', '--man=no'], UNIT, dropIn)).toEqual({ code: 0, output: '' });
    expect(analyze(['verify', '--man=no'], UNIT, `${dropIn}\nNoSuchSetting=1\n`).output).toContain('NoSuchSetting');
  });

  test('has little exposure by the count of systemd', () => {
    const { output } = analyze(['security', '--offline=true', '--no-pager']);
    expect(Number(/exposure level for \S+: ([\d.]+)/.exec(output)?.[1])).toBeLessThanOrEqual(1.4);
  });

  test('lets a drain end, and sends one SIGTERM only', () => {
    const drain = Number(/RBEES_SHUTDOWN_TIMEOUT=(\d+)/.exec(UNIT)?.[1]);
    expect(seconds('TimeoutStopSec')).toBe(drain + 10);
    expect(UNIT).toMatch(/^KillMode=mixed$/m);
    expect(UNIT).toMatch(/^OOMPolicy=continue$/m);
  });
});

describe.skipIf(missing.length > 0)(`the launcher ${obstacle}`, () => {
  async function receiver(): Promise<{ socket: string; messages: string[] }> {
    const socket = join(mkdtempSync(join(folder, 'socket-')), 'notify');
    const python = track(spawn('python3', ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] }));
    const messages: string[] = [];
    let rest = '';
    python.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      messages.push(...lines.map((line) => JSON.parse(line) as string));
    });
    await eventually(() => expect(messages).toEqual(['bound']));
    return { socket, messages };
  }

  test('reports the worker when it is ready, becomes the worker, and drains at SIGTERM', async () => {
    const { socket, messages } = await receiver();
    const options = { launcher: [LAUNCHER], stdin: 'ignore', env: { NOTIFY_SOCKET: socket } } as const;
    const worker = await startWorker(options);
    await eventually(() => expect(messages).toContain('READY=1\nSTATUS=The model is loaded.'));
    const pid = worker.process.pid ?? 0;
    expect(worker.lines[0]).toMatchObject({ event: 'worker.startup', pid });
    expect(childrenOf(pid)).toEqual(enginesOf(pid));

    const stream = await Listener.open(worker, longJob('running'));
    await stream.untilToken();
    expect(await worker.stop()).toBe(0);
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    await worker.line('worker.draining', (line) => line['requests_running'] === 1);
  });

  test('reports nothing for a worker that does not start, and passes its exit code on', async () => {
    const { socket, messages } = await receiver();
    const worker = new TestWorker({
      launcher: [LAUNCHER],
      stdin: 'ignore',
      env: { NOTIFY_SOCKET: socket },
      args: ['--slots', '0'],
    });
    expect(await worker.exited).toEqual({ code: 2, signal: null });
    expect(worker.stderr).toContain('--slots');
    expect(messages).toEqual(['bound']);
  });
});
