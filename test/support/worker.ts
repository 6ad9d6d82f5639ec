/**
 * A real worker process for end-to-end tests: reads its stdout line by line, calls it over HTTP, awaits its
 * exit.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { readEvents } from '../../src/client/sse.ts';
import { parseEventId } from '../../src/contract/event-ids.ts';
import { kill, track } from './processes.ts';

export const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** One line of stdout, parsed. */
export type LogLine = { event: string; level: string; human: string } & Record<string, unknown>;

/** The last line of a request, however the request ends. */
const LAST_LINES: ReadonlySet<string> = new Set(['time.explained', 'inference.failed', 'request.invalid']);

/**
 * One event of a stream: its SSE id and name, its parsed data, and its arrival (ms of this process's clock).
 */
export interface StreamEvent {
  readonly id: string | undefined;
  readonly name: string | undefined;
  readonly data: Record<string, unknown> & { type: string };
  readonly at: number;
}

export interface WorkerOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** `pipe` (the default): a worker drains and exits when the test process ends. `ignore` is /dev/null. */
  readonly stdin?: 'pipe' | 'ignore';
  /** Wait only until the worker listens, not until it is ready. */
  readonly early?: boolean;
  /** The folder of the `.env` file. */
  readonly cwd?: string;
  /** A command that runs the rest of its arguments, such as `nohup` or `taskset -c 0`. */
  readonly launcher?: readonly string[];
  /** The descriptors from 3 on. */
  readonly moreStdio?: readonly ('pipe' | 'ignore' | number)[];
  /** Another dist/cli.js than that of this checkout. */
  readonly cli?: string;
  /** True: the worker leads a process group of its own. */
  readonly detached?: boolean;
}

export class TestWorker {
  readonly process: ChildProcess;
  /** The text of stdout so far. */
  stdout = '';
  stderr = '';
  readonly lines: LogLine[] = [];
  /** Lines of stdout that are not JSON objects. Only `--log-format pretty` may write any. */
  readonly foreign: string[] = [];
  readonly #waiting = new Set<() => void>();
  readonly exited: Promise<{ code: number | null; signal: string | null }>;

  constructor(options: WorkerOptions) {
    const { launcher = [], cli = CLI, args = [] } = options;
    const command = [...launcher, process.execPath, cli, '--port', '0', ...args];
    this.process = track(
      spawn(command[0] ?? '', command.slice(1), {
        env: { PATH: process.env['PATH'] ?? '', ...options.env },
        stdio: [options.stdin ?? 'pipe', 'pipe', 'pipe', ...(options.moreStdio ?? [])],
        ...(options.cwd !== undefined && { cwd: options.cwd }),
        ...(options.detached !== undefined && { detached: options.detached }),
      }),
    );
    this.exited = once(this.process, 'close').then(([code, signal]) => ({ code, signal }));
    void this.exited.then(() => this.#notify());
    let rest = '';
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) this.#take(line);
      this.#notify();
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  #take(text: string): void {
    try {
      this.lines.push(JSON.parse(text) as LogLine);
    } catch {
      this.foreign.push(text);
    }
  }

  /**
   * The first line of `event` that satisfies `where`, now or later. @throws Error if the process ends without
   * it.
   */
  line(event: string, where: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return this.#first(event, (line) => line.event === event && where(line));
  }

  /**
   * All lines of a request that is over. Waits for its last line, which may come after the end of its stream.
   */
  async told(correlationId: string): Promise<LogLine[]> {
    const last = (line: LogLine): boolean => line['correlation_id'] === correlationId && LAST_LINES.has(line.event);
    await this.#first(`the last line of ${correlationId}`, last);
    return this.linesOf(correlationId);
  }

  async #first(what: string, fits: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find(fits);
      if (found) return found;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        await this.exited;
        const late = this.lines.find(fits);
        if (late) return late;
        throw new Error(`The worker ended without ${what}. stderr: ${this.stderr}\nstdout: ${this.stdout}`);
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  /** Lines that carry a correlation id. */
  linesOf(correlationId: string): LogLine[] {
    return this.lines.filter((line) => line['correlation_id'] === correlationId);
  }

  get url(): string {
    const bound = this.lines.find((line) => line.event === 'server.bound');
    if (!bound) throw new Error('The worker does not listen yet.');
    return String(bound['url']);
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.url + path, { headers });
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
    return fetch(this.url + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...(signal && { signal }),
    });
  }

  /** Runs a job to its last event. */
  async execute(body: object, headers: Record<string, string> = {}): Promise<StreamEvent[]> {
    const response = await this.post('/execute', body, headers);
    const events: StreamEvent[] = [];
    for await (const event of eventsOf(response)) events.push(event);
    return events;
  }

  /** SIGTERM, then the exit code. */
  async stop(): Promise<number | null> {
    this.process.kill('SIGTERM');
    return (await this.exited).code;
  }

  /** For `afterEach`: kills the process and its engine in any state. */
  async kill(): Promise<void> {
    await kill(this.process);
    await this.exited;
  }

  #notify(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

/** Starts a worker and waits until it is ready; with `early`, until it listens. */
export async function startWorker(options: WorkerOptions = {}): Promise<TestWorker> {
  const worker = new TestWorker(options);
  await worker.line('server.bound');
  if (!options.early) {
    await worker.line('warmup.done');
    while ((await worker.get('/ready')).status !== 200) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return worker;
}

/** The events of a stream as they arrive. */
export async function* eventsOf(response: Response): AsyncGenerator<StreamEvent, void, void> {
  for await (const { id, event, data } of readEvents<StreamEvent['data']>(response))
    yield { id, name: event, data, at: performance.now() };
}

/** The number in the id of an event; NaN for an event without one. */
export const numberOf = ({ id }: Pick<StreamEvent, 'id'>): number => parseEventId(id ?? '')?.number ?? Number.NaN;

/** The text of a stream: all its tokens joined. */
export function textOf(events: readonly StreamEvent[]): string {
  return events.map((event) => (event.data.type === 'token' ? String(event.data['t']) : '')).join('');
}

/** The data of all events of a type. */
export function all(events: readonly StreamEvent[], type: string): Record<string, unknown>[] {
  return events.filter((event) => event.data.type === type).map((event) => event.data);
}
