/** The examples as processes: the pool-manager with its workers, and the orchestrator in front of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { enginesOf, kill, track, untilGone } from './processes.ts';
import type { LogLine } from './worker.ts';

/** Ceiling of a test of several workers. On a machine under load, a start alone takes many seconds. */
export const CEILING_MS = 400_000;

/** One worker in the table of the pool-manager. */
export interface Endpoint {
  readonly instance_id: string;
  readonly worker_id: string;
  readonly pid: number;
  readonly url: string;
}

/** A running example. */
export class Example {
  readonly process: ChildProcess;
  readonly lines: LogLine[] = [];
  readonly exited: Promise<{ code: number | null }>;
  readonly #arrived = new EventEmitter();

  constructor(script: `${'' | 'fleet/'}${'pool-manager' | 'orchestrator'}`, args: readonly string[]) {
    const file = fileURLToPath(new URL(`../../examples/${script}.mjs`, import.meta.url));
    const env = { PATH: process.env['PATH'] ?? '' };
    // A process group of its own, so that a test can signal it as a terminal does.
    const options = { env, detached: true } as const;
    this.process = track(
      spawn(process.execPath, [file, ...args], { ...options, stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    this.exited = once(this.process, 'exit').then(([code]) => ({ code }));
    if (this.process.stdout)
      createInterface({ input: this.process.stdout }).on('line', (text) => {
        this.lines.push(JSON.parse(text) as LogLine);
        this.#arrived.emit('line');
      });
  }

  /** The first line of `event` that satisfies `fits`, now or later. @throws Error if the process ends without it. */
  async line(event: string, fits: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    const gone = this.exited.then(({ code }) => {
      throw new Error(`The example ended with code ${code} without ${event}.`);
    });
    gone.catch(() => undefined);
    for (;;) {
      const found = this.lines.find((line) => line.event === event && fits(line));
      if (found) return found;
      await Promise.race([once(this.#arrived, 'line'), gone]);
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.process.kill(signal);
    return (await this.exited).code;
  }
}

/** A pool-manager and the workers that it started. */
export class Manager extends Example {
  url = '';

  /** Starts `count` workers with these flags, and waits until all are ready. */
  static async start(count: number, flags: readonly string[] = []): Promise<Manager> {
    const manager = new Manager('fleet/pool-manager', [String(count), '0', ...flags]);
    manager.url = String((await manager.line('manager.listening'))['url']);
    await manager.untilReady(count);
    return manager;
  }

  async endpoints(): Promise<Endpoint[]> {
    return (await (await fetch(`${this.url}/endpoints`)).json()) as Endpoint[];
  }

  /** Waits until `count` workers are ready, besides those that are gone: the table may still have them. */
  async untilReady(count: number, gone: readonly Endpoint[] = []): Promise<void> {
    for (const end = performance.now() + CEILING_MS; ; await sleep(50)) {
      const listed = await this.endpoints();
      const found = listed.filter(({ pid }) => gone.every((other) => other.pid !== pid));
      if (found.length === count && listed.length === count) return;
      if (performance.now() > end) throw new Error(`${found.length} workers of ${count} are ready.`);
    }
  }

  roll(): Promise<Response> {
    return fetch(`${this.url}/roll`, { method: 'POST' });
  }

  /** Pids of all worker processes so far. */
  get started(): number[] {
    return this.lines.filter(({ event }) => event === 'manager.worker_started').map((line) => Number(line['pid']));
  }

  /** Stops it by a signal, and waits until its workers and their engines have ended. Returns its exit code. */
  async stopAll(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const engines = this.started.flatMap(enginesOf);
    const code = await this.stop(signal);
    await Promise.all([...this.started, ...engines].map(untilGone));
    return code;
  }

  /** For `afterEach`: the workers end by themselves, because their standard input closes. */
  async kill(): Promise<void> {
    await kill(this.process);
    await Promise.all(this.started.map(untilGone));
  }
}

/** The troubles that the callers of an orchestrator have not seen. */
export interface Counts {
  readonly refused: number;
  readonly resumed: number;
  readonly continued: number;
  readonly failed: number;
}

export class Orchestrator extends Example {
  url = '';

  /** @param silence seconds after which a silent worker is lost; absent: the default */
  static async start(manager: string, silence?: number): Promise<Orchestrator> {
    const orchestrator = new Orchestrator('fleet/orchestrator', [manager, '0', ...(silence ? [String(silence)] : [])]);
    orchestrator.url = String((await orchestrator.line('orchestrator.listening'))['url']);
    return orchestrator;
  }

  get tasks(): string {
    return `${this.url}/tasks`;
  }

  async counts(): Promise<Counts> {
    return (await (await fetch(`${this.url}/counts`)).json()) as Counts;
  }
}

/** A task of exactly `tokens` tokens whose text depends on the seed only. */
export const task = (seed: number, tokens: number): object => ({
  prompt: 'The sea',
  min_tokens: tokens,
  max_tokens: tokens,
  temperature: 1,
  seed,
});
