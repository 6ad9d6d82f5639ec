/**
 * HAProxy and nginx as children of a test, with the files of deploy/: own folder, ports, sockets and logs. Nothing
 * of the system is used but the programs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { track } from '../../support/processes.ts';
import type { TestWorker } from '../../support/worker.ts';

const HAPROXY_FILE = fileURLToPath(new URL('../../../deploy/haproxy/haproxy.cfg', import.meta.url));
const NGINX_FOLDER = fileURLToPath(new URL('../../../deploy/nginx', import.meta.url));
/** User and group `nobody` of Debian. */
const NOBODY = { uid: 65_534, gid: 65_534 } as const;

export const isRoot = process.getuid?.() === 0;
/** A line of an access log. */
export type AccessLine = Readonly<Record<string, unknown>>;

export interface ProxyOptions {
  /** Breaks or extends the file of deploy/. */
  readonly change?: (text: string) => string;
  readonly env?: Readonly<Record<string, string>>;
  /** True: the proxy runs as `nobody`. */
  readonly unprivileged?: boolean;
}

export interface LoadBalancer {
  readonly url: string;
  readonly tlsUrl: string;
  /** The lines of the access log so far. */
  readonly lines: () => AccessLine[];
  /** Gives this list of workers to the running proxy, in place of the earlier one. */
  readonly use: (workers: readonly TestWorker[]) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** HAProxy, and the commands of its Runtime API. */
export interface Haproxy extends LoadBalancer {
  /** Path of the socket of the Runtime API. */
  readonly socket: string;
  readonly tell: (command: string) => Promise<string>;
}

/** Starts HAProxy, and gives it the workers by its Runtime API as a pool does. */
export async function startHaproxy(workers: readonly TestWorker[], options: ProxyOptions = {}): Promise<Haproxy> {
  const { folder, port, tlsPort, child, stop } = await begin(async ({ folder, port, tlsPort }) => {
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(file, (options.change ?? same)(readFileSync(HAPROXY_FILE, 'utf8')));
    const env = {
      LISTEN: `127.0.0.1:${port}`,
      LISTEN_TLS: `127.0.0.1:${tlsPort}`,
      WORKERS_SOCKET: join(folder, 'workers.sock'),
      ...options.env,
    };
    return { command: ['haproxy', '-f', file], env, unprivileged: options.unprivileged };
  });
  let log = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const socket = join(folder, 'workers.sock');
  const tell = (command: string): Promise<string> => tellSocket(socket, command);
  let used = 0;
  const use = async (next: readonly TestWorker[]): Promise<void> => {
    for (let slot = 1; slot <= Math.max(used, next.length); slot += 1) {
      const worker = next[slot - 1];
      await tell(`set server workers/w${slot} state maint`);
      if (!worker) continue;
      await tell(`set server workers/w${slot} addr 127.0.0.1 port ${new URL(worker.url).port}`);
      await tell(`set server workers/w${slot} state ready`);
    }
    used = next.length;
    await eventually(async () => {
      const up = next.map(async (_, index) => (await stateOf(tell, `w${index + 1}`)).startsWith('UP'));
      if ((await Promise.all(up)).includes(false)) throw new Error('A worker is not up.');
    });
  };
  await use(workers);
  return {
    ...urlsOf(port, tlsPort),
    ...{ socket, tell, use, stop },
    lines: () => linesIn(log),
  };
}

/** The state of a server: `UP`, `DOWN`, `MAINT` and others. */
export async function stateOf(tell: Haproxy['tell'], server: string): Promise<string> {
  const [head = '', ...rows] = (await tell('show stat')).replace(/^# /, '').split('\n');
  const names = head.split(',');
  const row = rows.map((text) => text.split(',')).find((cells) => cells[0] === 'workers' && cells[1] === server);
  return row?.[names.indexOf('status')] ?? '';
}

/** Starts nginx, with a list of workers as a pool writes it. */
export async function startNginx(workers: readonly TestWorker[], options: ProxyOptions = {}): Promise<LoadBalancer> {
  const list = (next: readonly TestWorker[]): string =>
    next.map(({ url }) => `server ${new URL(url).host} max_fails=0;\n`).join('');
  const { folder, port, tlsPort, child, stop } = await begin(async ({ folder, port, tlsPort }) => {
    const file = join(folder, 'nginx.conf');
    copyFileSync(join(NGINX_FOLDER, 'nginx.conf'), file);
    writeFileSync(file, (options.change ?? same)(readFileSync(file, 'utf8')));
    writeFileSync(join(folder, 'listen.conf'), `listen 127.0.0.1:${port};\n${tlsLines(tlsPort, options.env)}`);
    writeFileSync(join(folder, 'workers.conf'), list(workers));
    const command = ['nginx', '-p', folder, '-c', file];
    return { command, env: {}, unprivileged: options.unprivileged };
  });
  const use = async (next: readonly TestWorker[]): Promise<void> => {
    writeFileSync(join(folder, 'workers.conf'), list(next));
    child.kill('SIGHUP');
  };
  const lines = (): AccessLine[] => linesIn(readFileSync(join(folder, 'access.log'), 'utf8'));
  return { ...urlsOf(port, tlsPort), use, lines, stop };
}

const same = (text: string): string => text;

const urlsOf = (port: number, tlsPort: number) => ({
  url: `http://127.0.0.1:${port}`,
  tlsUrl: `https://localhost:${tlsPort}`,
});

/** The lines of listen.conf for HTTPS, if a test names a certificate. */
function tlsLines(port: number, { TLS_PEM: pem }: Readonly<Record<string, string>> = {}): string {
  if (pem === undefined) return '';
  return `listen 127.0.0.1:${port} ssl http2;\nssl_certificate ${pem};\nssl_certificate_key ${pem};\n`;
}

/** Complete lines; the last one may still be on its way. */
const linesIn = (log: string): AccessLine[] =>
  log
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as AccessLine);

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly tlsPort: number;
}

interface Launch {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly unprivileged?: boolean | undefined;
}

/** Ends the proxies that a failed test has left, and removes the folders of all. */
const stops = new Set<() => Promise<void>>();
const folders = new Set<string>();
afterAll(() => Promise.all([...stops].map((stop) => stop())));
process.once('exit', () => {
  for (const folder of folders) remove(folder);
});

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** Starts a proxy. Another process can take a free port first, so a proxy that ends at once is started again. */
async function begin(prepare: (place: Place) => Promise<Launch>) {
  for (let tries = 1; ; tries += 1) {
    const folder = mkdtempSync(join(tmpdir(), 'proxy-'));
    folders.add(folder);
    chmodSync(folder, 0o777);
    const place = { folder, port: await freePort(), tlsPort: await freePort() };
    const { command, env, unprivileged } = await prepare(place);
    const child = track(
      spawn(command[0] ?? '', command.slice(1), {
        cwd: folder,
        env: { PATH: process.env['PATH'] ?? '', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
        ...(unprivileged && NOBODY),
      }),
    );
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = once(child, 'close');
    const stop = async (): Promise<void> => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await ended;
      remove(folder);
      stops.delete(stop);
    };
    stops.add(stop);
    const failed = ended.then(() => 'ended' as const);
    if ((await Promise.race([answers(place.port, child), failed])) === 'answers') return { ...place, child, stop };
    await stop();
    if (tries === 3) throw new Error(`${command[0]} ended: ${stderr}`);
  }
}

/** Resolves when the proxy answers; never, if it ends. */
async function answers(port: number, child: ChildProcess): Promise<'answers'> {
  await eventually(async () => {
    if (child.exitCode === null) await (await fetch(`http://127.0.0.1:${port}/nothing`)).text();
  });
  return child.exitCode === null ? 'answers' : new Promise(() => undefined);
}

/** Sends one command to the Runtime API of HAProxy, and returns the answer. */
async function tellSocket(path: string, command: string): Promise<string> {
  const socket = connect(path);
  socket.end(`${command}\n`);
  let answer = '';
  for await (const bytes of socket.setEncoding('utf8')) answer += bytes;
  return answer;
}
