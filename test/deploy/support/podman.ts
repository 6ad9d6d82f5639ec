/**
 * A podman of its own: images, containers, volumes and locks lie in a temporary folder, so that neither the
 * podman of the machine nor another test sees them. One file has no other place: the list of the sizes of blobs
 * in /var/lib/containers/cache (256 KB).
 */
import { execFile, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../support/documents.ts';
import type { LogLine } from '../../support/worker.ts';

/**
 * runc: crun refuses machines that have control groups of both versions. The limits: without them podman asks
 * for more open files than this process may have. Locks in a file: those in memory belong to the whole machine.
 */
const SETTINGS = `[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
`;
const GROUPS = '/sys/fs/cgroup';
const PROGRAMS = ['podman', 'buildah', 'runc', 'catatonit'];

/** Why no container can run here, as a sentence; undefined if one can. */
export const podmanObstacle: string | undefined = obstacle();

function obstacle(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'The containers of this test need root on Linux.';
  const missing = PROGRAMS.filter((name) => spawnSync('which', [name]).status !== 0);
  if (missing.length > 0) return `The Debian packages ${missing.join(', ')} are not installed.`;
  const spaces = ['--mount', '--pid', '--net', '--ipc', '--uts', '--fork', 'true'];
  const { status, stderr } = spawnSync('unshare', spaces, { encoding: 'utf8' });
  if (status !== 0) return `The machine allows no namespaces: ${stderr.trim()}.`;
  try {
    // With version 1 of control groups, each controller has a tree of its own.
    rmdirSync(mkdtempSync(existsSync(`${GROUPS}/pids`) ? `${GROUPS}/pids/probe-` : `${GROUPS}/probe-`));
  } catch (error) {
    return `The machine allows no control groups: ${error instanceof Error ? error.message : error}.`;
  }
  return undefined;
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The parts of `podman inspect` that the tests read. */
export interface Container {
  readonly State: { readonly Pid: number; readonly ExitCode: number; readonly Status: string };
  readonly Config: { readonly User: string };
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean;
    readonly Memory: number;
    readonly SecurityOpt: readonly string[];
  };
}

export class Podman {
  readonly folder = mkdtempSync(join(tmpdir(), 'podman-'));
  readonly #env: Readonly<Record<string, string>>;
  /** The containers and pods so far. */
  readonly #ids = new Set<string>();

  constructor() {
    const settings = join(this.folder, 'containers.conf');
    writeFileSync(settings, SETTINGS);
    // A container of another user than root walks through this folder to its mounts.
    chmodSync(this.folder, 0o755);
    const folders = `--root ${this.folder}/root --runroot ${this.folder}/runroot`;
    this.#env = {
      PATH: `/usr/sbin:/sbin:${process.env['PATH'] ?? ''}`,
      HOME: this.folder,
      TMPDIR: this.folder,
      CONTAINERS_CONF: settings,
      BUILDAH_OPTIONS: folders,
    };
  }

  /** Runs podman. Never throws: `code` and `stderr` report a failure. */
  run(...args: readonly string[]): Promise<Finished> {
    const own = ['root', 'runroot'].map((name) => `--${name}=${join(this.folder, name)}`);
    const more = [`--tmpdir=${join(this.folder, 'state')}`, `--network-config-dir=${join(this.folder, 'networks')}`];
    return finished('podman', [...own, ...more, ...args], this.#env);
  }

  /** stdout of podman. @throws Error with stderr if it fails. */
  async ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(`podman ${args.join(' ')} ended with ${code}: ${stderr}`);
    return stdout.trim();
  }

  /** Builds the image of deploy/container/Containerfile from the Node.js of this machine. */
  async buildFromHost(image: string, ...options: readonly string[]): Promise<void> {
    const script = join(ROOT, 'deploy', 'container', 'from-host.sh');
    const { code, stderr } = await finished('sh', [script, image, ...options], this.#env);
    if (code !== 0) throw new Error(`from-host.sh ended with ${code}: ${stderr}`);
  }

  /** Runs buildah build in the checkout. */
  async build(image: string, containerfile: string, context: string): Promise<void> {
    const options = ['--isolation', 'chroot', '--layers=false', '--tag', image, '--file', containerfile, context];
    const folders = ['root', 'runroot'].map((name) => `--${name}=${join(this.folder, name)}`);
    const { code, stderr } = await finished('buildah', [...folders, 'build', ...options], this.#env);
    if (code !== 0) throw new Error(`buildah build ended with ${code}: ${stderr}`);
  }

  async inspect(name: string): Promise<Container> {
    const [container] = JSON.parse(await this.ok('container', 'inspect', name)) as Container[];
    if (!container) throw new Error(`There is no container ${name}.`);
    return container;
  }

  /** The narration of a container so far. Other lines, such as those of stderr, are left out. */
  async lines(name: string): Promise<LogLine[]> {
    const { stdout } = await this.run('logs', name);
    return stdout.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []));
  }

  /** Ends the containers of a pod and removes them, with their volumes. */
  async removePod(name: string): Promise<void> {
    await this.#remember();
    await this.ok('pod', 'rm', '--force', '--time', '0', name);
    await this.run('volume', 'rm', '--all', '--force');
  }

  /** Ends all containers and removes everything. */
  async close(): Promise<void> {
    await this.#remember();
    await this.run('pod', 'rm', '--all', '--force', '--time', '0');
    await this.run('rm', '--all', '--force', '--time', '0');
    await this.run('image', 'unmount', '--all', '--force');
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '');
    for (const mount of mounts.filter((path) => path.startsWith(`${this.folder}/`)).reverse())
      spawnSync('umount', ['--lazy', mount]);
    rmSync(this.folder, { recursive: true, force: true });
    this.#removeGroups();
  }

  async #remember(): Promise<void> {
    for (const list of [
      ['ps', '--all'],
      ['pod', 'ps'],
    ])
      for (const id of (await this.ok(...list, '--quiet', '--no-trunc')).split('\n')) this.#ids.add(id);
  }

  /** podman and runc leave empty control groups behind. Groups with processes of another podman stay. */
  #removeGroups(): void {
    const parents = ['', ...readdirSync('/sys/fs/cgroup')].map((name) => `/sys/fs/cgroup/${name}/libpod_parent`);
    const groups = parents.flatMap((parent) => [...[...this.#ids, 'conmon'].map((id) => `${parent}/${id}`), parent]);
    spawnSync('rmdir', groups, { stdio: 'ignore' });
  }
}

function finished(program: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Finished> {
  return new Promise((resolve) => {
    execFile(program, args, { env, cwd: ROOT, maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr }),
    );
  });
}
