/**
 * The worker under test, observed from outside. Its log lines are counted and dropped, so that a hundred
 * thousand requests need no memory here. Its memory and open files come from /proc.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { enginePid } from '../support/cli.ts';
import { CLI, type LogLine } from '../support/worker.ts';

/** Events that report a fault of the worker itself. */
const BLAMED: ReadonlySet<string> = new Set(['worker.fault', 'worker.failed', 'stdout.lines_lost', 'engine.warning']);
/** SIGWINCH collects garbage, so that the heap is the memory really in use. */
const COLLECTS = ['--expose-gc', '--import', 'data:text/javascript,process.on("SIGWINCH",()=>gc())'];
const ENDINGS: ReadonlySet<string> = new Set(['inference.complete', 'inference.failed']);

export interface Usage {
  /** Heap in use, bytes: exact only right after `collect`. */
  readonly heap: number;
  /** Resident memory, bytes. */
  readonly worker: number;
  readonly engine: number;
  /** Open file descriptors of the worker process. */
  readonly files: number;
}

export class Subject {
  readonly process: ChildProcess;
  /** The token that every route requires; undefined if none is set. */
  readonly token: string | undefined;
  /** A text that no log line may have: a line with it counts as a fault of the worker. */
  secret: string | undefined;
  /** Number of lines of each event. */
  readonly counts = new Map<string, number>();
  /** Whole lines of faults of the worker itself. */
  readonly blamed: string[] = [];
  /** Number of end lines of each request by correlation id; 0 while it runs. */
  readonly #endings = new Map<string, number>();
  readonly #exited: Promise<number | null>;
  #url = '';
  #stderr = '';
  #lastEvent = '';

  private constructor(args: readonly string[], token: string | undefined) {
    this.token = token;
    this.process = spawn(process.execPath, [...COLLECTS, CLI, '--port', '0', ...args], {
      env: { PATH: process.env['PATH'] ?? '' },
      // It drains when its stdin closes, so that it never outlives its parent.
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#exited = once(this.process, 'close').then(([code]) => code);
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    if (this.process.stdout) createInterface({ input: this.process.stdout }).on('line', (text) => this.#take(text));
  }

  /** Starts a worker, with a token if one is given. Resolves when it is ready. */
  static async start(args: readonly string[] = [], token?: string): Promise<Subject> {
    const subject = new Subject(token === undefined ? args : [...args, '--api-token', token], token);
    await subject.until(() => subject.counts.has('warmup.done'), 'warm');
    await subject.until(async () => (await subject.get('/ready')).status === 200, 'ready');
    return subject;
  }

  get url(): string {
    return this.#url;
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** Process id of the current engine. @throws Error while there is none. */
  get enginePid(): number {
    return enginePid(this);
  }

  /** The same; undefined while there is none. */
  get currentEngine(): number | undefined {
    try {
      return this.enginePid;
    } catch {
      return undefined;
    }
  }

  /** The event of the last line. */
  get lastEvent(): string {
    return this.#lastEvent;
  }

  count(event: string): number {
    return this.counts.get(event) ?? 0;
  }

  /** Accepted requests without exactly one end line. */
  get unsettled(): string[] {
    return [...this.#endings].filter(([, times]) => times !== 1).map(([id, times]) => `${id}: ${times} end lines`);
  }

  /** The text of stderr. A healthy worker writes none. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Open file descriptors of the worker process. */
  get files(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Memory in use after a garbage collection. */
  async collect(): Promise<Usage> {
    this.process.kill('SIGWINCH');
    await this.get('/live'); // the event loop that answers has handled the signal before
    const heap = (await this.metrics()).get('nodejs_heap_size_used_bytes') ?? Number.NaN;
    return { heap, worker: residentBytes(this.pid), engine: residentBytes(this.enginePid), files: this.files };
  }

  /** One request on its own connection, which is closed afterwards: no open connection changes the counts. */
  get(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const headers = this.token === undefined ? {} : { Authorization: `Bearer ${this.token}` };
    return new Promise((resolve, reject) => {
      const request = http.get(this.#url + path, { agent: false, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.once('error', reject).once('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      request.once('error', reject);
    });
  }

  async health(): Promise<Record<string, unknown>> {
    return JSON.parse((await this.get('/health')).text) as Record<string, unknown>;
  }

  /** All figures of /metrics; a figure with labels is the sum over its labels. */
  async metrics(): Promise<Map<string, number>> {
    const { text } = await this.get('/metrics');
    const figures = new Map<string, number>();
    for (const [, name = '', value] of text.matchAll(/^([a-z_]+)(?:\{[^}]*\})? (\S+)$/gm))
      figures.set(name, (figures.get(name) ?? 0) + Number(value));
    return figures;
  }

  /** Waits until a condition holds. @throws Error that names it after a minute. */
  async until(holds: () => boolean | Promise<boolean>, condition: string): Promise<void> {
    const end = performance.now() + 60_000;
    while (!(await holds())) {
      if (this.process.exitCode !== null)
        throw new Error(`The worker ended before it was ${condition}: ${this.#stderr}`);
      if (performance.now() > end) throw new Error(`The worker was not ${condition} within a minute`);
      await sleep(10);
    }
  }

  /** SIGTERM, then the exit code. */
  async stop(): Promise<number | null> {
    this.process.kill('SIGTERM');
    return this.#exited;
  }

  /** Kills the process in any state. */
  async kill(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL');
    await this.#exited;
  }

  #take(text: string): void {
    let line: LogLine;
    try {
      line = JSON.parse(text) as LogLine;
    } catch {
      this.blamed.push(`not JSON on stdout: ${text.slice(0, 200)}`);
      return;
    }
    const { event } = line;
    this.#lastEvent = event;
    this.counts.set(event, this.count(event) + 1);
    if (event === 'server.bound') this.#url = String(line['url']);
    if (BLAMED.has(event) || (this.secret !== undefined && text.includes(this.secret))) this.blamed.push(text);
    const id = String(line['correlation_id']);
    if (event === 'request.validated') this.#endings.set(id, 0);
    else if (ENDINGS.has(event) && this.#endings.has(id)) this.#endings.set(id, (this.#endings.get(id) ?? 0) + 1);
  }
}

/** Resident memory of a process. */
function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
