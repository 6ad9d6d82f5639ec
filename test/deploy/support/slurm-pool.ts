/** The pool of deploy/slurm as a process, HAProxy with its configuration, and clients that go through it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Continuation, type JobRequest, RefusedError, WorkerClient } from '../../../src/client/client.ts';
import { freePort } from '../../support/free-port.ts';
import { kill, track } from '../../support/processes.ts';
import { CLI, type LogLine } from '../../support/worker.ts';
import { type Haproxy, startHaproxy } from './proxies.ts';
import type { SlurmCluster } from './slurm.ts';

const file = (name: string): string => fileURLToPath(new URL(`../../../deploy/slurm/${name}`, import.meta.url));
const mapOf = ({ folder }: SlurmCluster): string => join(folder, 'workers.map');
const API_TOKEN = 'the-api-token-of-the-test';
const CALLBACK_TOKEN = 'the-callback-token-of-the-test';
const BEARER = { Authorization: `Bearer ${CALLBACK_TOKEN}` };

/** One worker in the answer of `GET /endpoints`. */
export interface Member {
  readonly id: string;
  readonly index: number;
  readonly restarts: number;
  readonly worker_id: string;
  readonly instance_id: string;
  readonly url: string;
  readonly state: string;
}

/** A complete output, and the workers that generated it. */
export interface Output {
  readonly text: string;
  /** Indexes of the token events, in the order of their arrival. */
  readonly indexes: readonly number[];
  /** The number of tokens in the event `end`. */
  readonly tokens: number;
  readonly workers: readonly string[];
}

export class SlurmPool {
  readonly cluster: SlurmCluster;
  readonly lines: LogLine[] = [];
  readonly endpoints: string;
  readonly map: string;
  readonly client: WorkerClient;
  url = '';
  readonly #arrived = new EventEmitter();
  readonly #port: number;
  readonly #haproxy: Haproxy;
  #process: ChildProcess | undefined;

  private constructor(cluster: SlurmCluster, port: number, haproxy: Haproxy) {
    this.cluster = cluster;
    this.#port = port;
    this.#haproxy = haproxy;
    this.endpoints = join(cluster.folder, 'endpoints.yaml');
    this.map = mapOf(cluster);
    this.client = new WorkerClient({ url: haproxy.url, apiToken: API_TOKEN });
    this.#arrived.setMaxListeners(0);
  }

  /** Starts HAProxy and a pool of `count` workers, and waits until all have reported. */
  static async start(cluster: SlurmCluster, count: number): Promise<SlurmPool> {
    const bin = join(cluster.folder, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'rbees-workerd'), `#!/bin/sh\nexec "${process.execPath}" -- "${CLI}" "$@"\n`);
    await chmod(join(bin, 'rbees-workerd'), 0o755);
    const tokens = `RBEES_API_TOKEN=${API_TOKEN}\nRBEES_CALLBACK_TOKEN=${CALLBACK_TOKEN}\n`;
    await writeFile(join(cluster.folder, 'tokens.env'), tokens, { mode: 0o600 });
    await writeFile(mapOf(cluster), '');
    const haproxy = await startHaproxy([], { env: { WORKERS_MAP: mapOf(cluster) } });
    const pool = new SlurmPool(cluster, await freePort(), haproxy);
    await pool.restart(count);
    for (let index = 1; index <= count; index += 1) await pool.ready(index, 0);
    return pool;
  }

  /** The environment of sbatch, which the jobs get. */
  get #variables(): Record<string, string> {
    const { folder, env } = this.cluster;
    const path = `${join(folder, 'bin')}:${env['PATH']}`;
    return { ...env, PATH: path, RBEES_HOST: '127.0.0.1', RBEES_SCRATCH: folder, RBEES_SHUTDOWN_TIMEOUT: '100' };
  }

  /** Submits the job script without a pool. Returns the id of its task. */
  async submit(...options: readonly string[]): Promise<string> {
    const env = { ...this.#variables, RBEES_ENV_FILE: 'tokens.env', RBEES_SHUTDOWN_TIMEOUT: '20' };
    const args = ['--parsable', '--array=1', ...options, file('worker.sbatch')];
    const { stdout } = await promisify(execFile)('sbatch', args, { env, cwd: this.cluster.folder });
    return `${stdout.trim()}_1`;
  }

  /** Kills the pool if it runs, and starts it with this number of workers, more options and variables. */
  async restart(count: number, options: readonly string[] = [], more: Record<string, string> = {}): Promise<void> {
    await this.kill();
    this.lines.length = 0;
    const { folder } = this.cluster;
    const args = [
      ...['--count', String(count), '--listen', `127.0.0.1:${this.#port}`, '--tokens', 'tokens.env'],
      ...['--endpoints', this.endpoints, '--map', this.map, '--haproxy', this.#haproxy.socket],
      ...['--poll', '0.25', '--dead-after', '120'],
      ...options,
    ];
    const started = spawn(process.execPath, [file('pool.mjs'), ...args], {
      env: { ...this.#variables, ...more },
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#process = track(started);
    createInterface({ input: started.stdout }).on('line', (text) => {
      this.lines.push(JSON.parse(text) as LogLine);
      this.#arrived.emit('line');
    });
    this.url = String((await this.line('pool.listening'))['url']);
  }

  /** The first line of `event` that satisfies `fits`, now or later. */
  async line(event: string, fits: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find((line) => line.event === event && fits(line));
      if (found) return found;
      await once(this.#arrived, 'line');
    }
  }

  /** Waits for the callback of the worker of a task, in the given life. */
  ready(index: number, restarts: number): Promise<LogLine> {
    const end = `_${index}-r${restarts}`;
    return this.line('pool.worker_ready', ({ worker_id }) => String(worker_id).endsWith(end));
  }

  async members(): Promise<Member[]> {
    const answer = await fetch(`${this.url}/endpoints`, { headers: BEARER });
    const workers = (await answer.json()) as Omit<Member, 'restarts'>[];
    return workers.map((worker) => ({ ...worker, restarts: Number(worker.worker_id.split('-r').at(-1)) }));
  }

  /** The worker that runs a request which names one, through HAProxy. */
  async reached(worker: string): Promise<string | undefined> {
    const answer = await fetch(`${this.#haproxy.url}/execute`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Worker-Id': worker, Authorization: `Bearer ${API_TOKEN}` },
      body: JSON.stringify({ job_id: randomUUID(), prompt: 'The sea', max_tokens: 1 }),
    });
    return /"worker_id":"([^"]+)"/.exec(await answer.text())?.[1];
  }

  drain(index: number): Promise<Response> {
    return fetch(`${this.url}/drain/${index}`, { method: 'POST', headers: BEARER });
  }

  /** The lines of all lives of the worker of a task. */
  async log(id: string, name = 'rbees-worker'): Promise<LogLine[]> {
    const text = await readFile(join(this.cluster.folder, `${name}-${id}.jsonl`), 'utf8');
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as LogLine);
  }

  /** Kills the pool. Its workers and HAProxy go on. */
  async kill(): Promise<void> {
    if (this.#process) await kill(this.#process);
  }

  async stop(): Promise<void> {
    await this.kill();
    await this.#haproxy.stop();
  }
}

/** A job that goes on with another worker after the loss of its own, as docs/client.md shows. */
export class Stream {
  readonly output: Promise<Output>;
  readonly workers: string[] = [];
  readonly #progress = new EventEmitter();
  #text = '';
  readonly #indexes: number[] = [];

  constructor(client: WorkerClient, seed: number, tokens: number) {
    const body = { prompt: 'The sea', min_tokens: tokens, max_tokens: tokens, temperature: 1, seed, ids: true };
    this.output = this.#read(client, body);
    this.output.catch(() => undefined);
  }

  /** Resolves when the token with this index has arrived. */
  async untilToken(index: number): Promise<void> {
    while (this.#indexes.length <= index) await Promise.race([once(this.#progress, 'token'), this.output]);
  }

  async #read(client: WorkerClient, body: JobRequest): Promise<Output> {
    let tokens = 0;
    for (let continuation: Continuation | undefined; ; ) {
      const run = client.execute(body, { resumeForMs: 250, acceptWithinMs: 60_000, continuation });
      try {
        for await (const event of run) {
          if (event.type === 'started') this.workers.push(event.worker_id);
          if (event.type === 'token') {
            this.#text += event.t;
            this.#indexes.push(event.i);
            this.#progress.emit('token');
          }
          if (event.type === 'end') tokens = event.tokens_out;
          if (event.type === 'error') throw Object.assign(new Error(event.message), { retry: event.retry });
        }
        return { text: this.#text, indexes: this.#indexes, tokens, workers: this.workers };
      } catch (error) {
        if (error instanceof RefusedError || (error as { retry?: string }).retry === 'never') throw error;
        continuation = run.continuation ?? continuation;
      }
    }
  }
}
