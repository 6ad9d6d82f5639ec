/**
 * The servers that the benches measure. Each is warm before its bench begins. Its bench stops it, or the end
 * of all benches does.
 */
import { execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
/** Folder of the packages of the peers. */
export const PEERS = fileURLToPath(new URL('./peers/', import.meta.url));
/** How long a server may take to stop before it is killed. */
const STOP_MS = 10_000;

const running = new Set();

/** Stops the servers that a failed bench has left running. */
export const stopAll = () => Promise.all([...running].map((stop) => stop()));

/**
 * Starts a worker. Resolves when it has warmed up, with the milliseconds from spawn to each of its
 * lines so far.
 * @param cli the entry of a build; default: the build of this checkout
 * @param variables more variables of its environment
 */
export async function startWorker(args = [], cli = CLI, variables = {}) {
  const began = performance.now();
  // It drains when its stdin closes: it never outlives the benches.
  const child = spawn(process.execPath, [cli, '--port', '0', ...args], {
    env: { ...process.env, ...variables },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const stop = stopper(child);
  const at = {};
  let [url, fatal] = ['', ''];
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text);
    at[line.event] ??= performance.now() - began;
    if (line.event === 'server.bound') url = line.url;
    if (line.level === 'FATAL') fatal = line.reason ?? line.human;
    if (line.event === 'warmup.done') break;
  }
  if (at['warmup.done'] === undefined) throw new Error(`The worker ended before it was ready: ${fatal}`);
  child.stdout.resume();
  return { url, at, pid: child.pid, stop };
}

/** Starts an example. Resolves when it listens. Its workers drain when it ends. */
export async function startExample(script, args) {
  const file = fileURLToPath(new URL(`../examples/fleet/${script}.mjs`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = stopper(child);
  const url = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${script} ended with code ${code} before it listened`)));
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text);
      if (line.event === `${script.replace('pool-', '')}.listening`) resolve(line.url);
    });
  });
  return { url, stop };
}

/** Installs the packages of the peers and starts one of their servers. Resolves when it has warmed up. */
export async function startPeer(script, args) {
  installPeers();
  const child = fork(`${PEERS}${script}`, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const stop = stopper(child);
  const gone = once(child, 'exit').then(() => {
    throw new Error(`${script} ended before it was ready`);
  });
  gone.catch(() => undefined);
  const [{ url }] = await Promise.race([once(child, 'message'), gone]);
  return { url, pid: child.pid, stop };
}

/** Name and version of each package of the peers. */
export function peerVersions() {
  return Object.entries(wantedPeers()).map(([name, version]) => `${name} ${version}`);
}

/** One figure of `GET /metrics` of a worker. `name` is a regular expression for name and labels. */
export async function metric(url, name) {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

function stopper(child) {
  const gone = once(child, 'exit');
  const stop = async () => {
    running.delete(stop);
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(timer);
  };
  running.add(stop);
  return stop;
}

const wantedPeers = () => JSON.parse(readFileSync(`${PEERS}package.json`, 'utf8')).dependencies;

/** Installs the packages of the peers, unless those that are needed are installed. */
export function installPeers(needed = Object.keys(wantedPeers())) {
  const wanted = wantedPeers();
  const installed = needed.every((name) => {
    const file = `${PEERS}node_modules/${name}/package.json`;
    return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version === wanted[name];
  });
  if (installed) return;
  process.stderr.write('Installing the peers (once, about 1 GB)…\n');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // `npm ci` refuses a lock file without the optional packages of every platform, and some registries lack
  // some of these packages.
  execFileSync(npm, ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: PEERS,
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
}
