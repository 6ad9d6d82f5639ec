/**
 * A Slurm cluster of one node on loopback, with its files in a temporary folder. Every daemon is a child of
 * the test and uses ports, sockets and a key of its own, so that no service of the machine is touched.
 */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../../support/free-port.ts';
import { kill, signalIfAlive, track } from '../../support/processes.ts';
import { PATH } from './programs.ts';

const MUNGE = 'munge';
/** Cores that the node pretends to have: one for each job of the tests. */
const CORES = 16;
const ENDED = /^(?:COMPLETED|CANCELLED|FAILED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY)$/;

/** State of a job of the cluster, as `scontrol show job` prints it. */
export interface JobFacts {
  readonly state: string;
  readonly exitCode: string;
  readonly restarts: number;
  /** Time between the last submission or requeue and the start, in seconds. */
  readonly waited: number;
}

export class SlurmCluster {
  readonly folder: string;
  /** The environment in which the commands of Slurm find this cluster. */
  readonly env: Readonly<Record<string, string>>;
  readonly #daemons: ReturnType<typeof spawn>[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    this.env = { PATH, SLURM_CONF: join(folder, 'slurm.conf'), HOME: folder };
    // A test process that ends early, too, leaves no job behind.
    process.once('exit', () => this.#sweep());
  }

  /** Starts the daemons, and waits until the node is idle. */
  static async start(): Promise<SlurmCluster> {
    const cluster = new SlurmCluster(await mkdtemp(join(tmpdir(), 'slurm-')));
    await cluster.#begin().catch(async (error: unknown) => {
      await cluster.#remove();
      throw error;
    });
    return cluster;
  }

  async #begin(): Promise<void> {
    const { folder } = this;
    for (const name of ['state', 'spool', MUNGE]) await mkdir(join(folder, name), { mode: 0o755 });
    await writeFile(join(folder, MUNGE, 'key'), randomBytes(128), { mode: 0o600 });
    await writeFile(join(folder, 'slurm.conf'), configuration(folder, await freePort(), await freePort()));
    const munge = (name: string): string => join(folder, MUNGE, name);
    this.#daemon('munged', [
      ...['--foreground', '--force', `--key-file=${munge('key')}`, `--socket=${munge('socket')}`],
      ...[`--pid-file=${munge('pid')}`, `--log-file=${munge('log')}`, `--seed-file=${munge('seed')}`],
    ]);
    await this.#until('munged listens', () => Promise.resolve(existsSync(munge('socket'))));
    this.#daemon('slurmctld', ['-D', '-i']);
    this.#daemon('slurmd', ['-D', '-N', 'localhost']);
    const isIdle = async (): Promise<boolean> => (await this.run('sinfo', '-h', '-o', '%T')).trim() === 'idle';
    await this.#until('the node is idle', () => isIdle().catch(() => false));
  }

  #daemon(name: string, args: readonly string[]): void {
    this.#daemons.push(track(spawn(name, args, { env: this.env, stdio: 'ignore' })));
  }

  async #until(what: string, holds: () => Promise<boolean>): Promise<void> {
    for (const end = performance.now() + 60_000; !(await holds()); await sleep(50)) {
      const ended = this.#daemons.find(({ exitCode }) => exitCode !== null);
      if (!ended && performance.now() < end) continue;
      const logs = ['slurmctld.log', 'slurmd.log', 'munge/log'].map((name) =>
        readFile(join(this.folder, name), 'utf8').catch(() => ''),
      );
      throw new Error(`Not reached: ${what}.\n${(await Promise.all(logs)).join('\n')}`);
    }
  }

  /** Runs a command of Slurm. Returns its stdout. */
  async run(command: string, ...args: readonly string[]): Promise<string> {
    return (await promisify(execFile)(command, args, { env: this.env, cwd: this.folder })).stdout;
  }

  async job(id: string): Promise<JobFacts> {
    const text = await this.run('scontrol', 'show', 'job', id);
    const of = (name: string): string => new RegExp(`\\b${name}=(\\S+)`).exec(text)?.[1] ?? '';
    const waited = (Date.parse(of('StartTime')) - Date.parse(of('SubmitTime'))) / 1000;
    return { state: of('JobState'), exitCode: of('ExitCode'), restarts: Number(of('Restarts')), waited };
  }

  /** Lets Slurm forget jobs that have ended: it looks every 10 s for those that ended 2 s ago. */
  async forgetSoon(): Promise<void> {
    await appendFile(this.env['SLURM_CONF'] ?? '', 'MinJobAge=2\n');
    await this.run('scontrol', 'reconfigure');
  }

  /** Kills all jobs, ends the daemons, and removes the folder. */
  async stop(): Promise<void> {
    const states = async (): Promise<string[]> =>
      (await this.run('squeue', '-h', '--states=all', '--array', '-o', '%T')).split('\n').filter(Boolean);
    const clear = async (): Promise<boolean> => {
      await this.run('scancel', '--me', '--full', '--signal=KILL').catch(() => '');
      await this.run('scancel', '--me').catch(() => '');
      return (await states()).every((state) => ENDED.test(state));
    };
    await this.#until('all jobs have ended', clear).finally(() => this.#remove());
  }

  /** Ends the daemons, and processes of jobs that they have left. Removes the folder. */
  async #remove(): Promise<void> {
    await Promise.all(this.#daemons.toReversed().map(kill));
    this.#sweep();
  }

  /** Kills the processes that have the configuration of this cluster in their environment. */
  #sweep(): void {
    for (const pid of readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)) {
      if (environmentOf(pid).includes(`SLURM_CONF=${this.env['SLURM_CONF']}\0`)) signalIfAlive(pid, 'SIGKILL');
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

function configuration(folder: string, controllerPort: number, nodePort: number): string {
  const { username } = userInfo();
  const host = hostname().split('.')[0];
  return `ClusterName=test
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${controllerPort}
SlurmdPort=${nodePort}
AuthType=auth/munge
AuthInfo=socket=${join(folder, MUNGE, 'socket')}
CredType=cred/munge
SlurmUser=${username}
SlurmdUser=${username}
StateSaveLocation=${join(folder, 'state')}
SlurmdSpoolDir=${join(folder, 'spool')}
SlurmctldPidFile=${join(folder, 'slurmctld.pid')}
SlurmdPidFile=${join(folder, 'slurmd.pid')}
SlurmctldLogFile=${join(folder, 'slurmctld.log')}
SlurmdLogFile=${join(folder, 'slurmd.log')}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=120
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName=localhost NodeHostname=${host} NodeAddr=127.0.0.1 CPUs=${CORES} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;
}
