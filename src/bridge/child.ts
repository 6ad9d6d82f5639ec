/**
 * The worker's side of one engine process: starts the process, opens a model in it, watches it and ends it.
 * Forwards its messages, and reports its end once. Knows nothing about sequences or the next engine.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { wasmOptions } from '../config/host/address-space.ts';
import { ENGINE_ENTRY } from '../config/paths.ts';
import type { DeviceName } from '../protocol/devices.ts';
import { MemoryKills } from '../protocol/host/memory-kills.ts';
import type { EngineFacts, EngineOptions } from '../protocol/loading.ts';
import type { FromEngine, ToEngine } from '../protocol/messages.ts';
import type { DeviceProbe } from '../protocol/probe.ts';
import type { Refusal } from '../protocol/reasons.ts';
import { withOwnFile } from './files/own-file.ts';
import { aliveInterval, Heartbeat, type SilenceLimits } from './heartbeat.ts';
import type { Silence } from './sequence-inbox.ts';
import type { StallThreshold } from './stall-threshold.ts';

/** Number of characters to keep from the end of an engine's standard error. */
export const STDERR_TAIL = 8 * 1024;
/** Time for an engine to close before it is killed. */
export const CLOSE_MS = 2000;
/**
 * Time to wait for a killed engine to end. Its memory should be free before the next engine starts, but a
 * process that hangs in a driver may never end.
 */
export const KILL_MS = 1000;

/**
 * Options of Node.js for every engine process. V8 has one thread for background work instead of four: the
 * engine's JavaScript is small, and fifty idle engines are then 150 threads fewer. Tokens per second are the
 * same (docs/decisions/0022-cheap-workers.md). No option changes the flags of V8, so compiled code of other
 * processes fits.
 */
const ENGINE_OPTIONS: readonly string[] = ['--v8-pool-size=1'];

/** The unexpected end of an engine process. */
export interface Loss {
  readonly exitCode?: number;
  readonly signal?: string;
  /** The last 8 KiB of standard error, starting at the first complete word. */
  readonly stderrTail: string;
  /** For example `signal SIGKILL`, `exit code 1`, `no step for 60 s`, `out_of_memory (signal SIGKILL)`. */
  readonly reason: string;
  /** True if the kernel killed the process for lack of memory, or if it aborted because it got none. */
  readonly isOutOfMemory?: true;
  /** True if the system had no resources for a process: a later start can succeed. */
  readonly isShortage?: true;
}

/** Errors of the system that mean that it has no descriptor, process or memory for a new process. */
const SHORTAGES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM']);

/** The last words of a process that aborts because it gets no memory: of C++ and of V8. */
const NO_MEMORY = /bad_alloc|out of memory|cannot allocate memory/i;
const ABORTS: ReadonlySet<string | undefined> = new Set(['SIGABRT', 'SIGTRAP', 'SIGILL']);

/** The kernel's kills for lack of memory, as counted before an engine process started. */
const KILLS = new WeakMap<ChildProcess, MemoryKills>();

/** The engine process has ended, or there is none. */
export class EngineLostError extends Error {
  override readonly name = 'EngineLostError';
  /** How the process ended; absent if there was none. */
  readonly loss: Loss | undefined;
  /**
   * The engines that were lost while the sequence ran, the last one with this sequence alone. Absent: the
   * sequence is not the cause.
   */
  readonly causedLosses: number | undefined;

  constructor(reason: string, loss?: Loss, causedLosses?: number) {
    super(reason);
    this.loss = loss;
    this.causedLosses = causedLosses;
  }
}

/**
 * The engine could not open the model. The message is the code of the reason; the worker writes the sentence
 * from `refusal`.
 */
export class EngineRefusedError extends Error {
  override readonly name = 'EngineRefusedError';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.reason.code);
    this.refusal = refusal;
  }
}

/**
 * Starts an engine process, which then waits for `open` or `probe`.
 * @param environment the complete environment of the process.
 */
export function forkEngine(environment: NodeJS.ProcessEnv): ChildProcess {
  const kills = new MemoryKills();
  const child = fork(ENGINE_ENTRY, [], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
    env: environment,
    // The sampler uses WebAssembly.
    execArgv: [...ENGINE_OPTIONS, ...wasmOptions()],
  });
  // A process that could not be started emits `error` and has no pid; `open` reports the loss.
  child.on('error', () => undefined);
  KILLS.set(child, kills);
  return child;
}

export interface EngineChildOptions {
  /**
   * Milliseconds without a message after which an open engine is killed: longer than any step. Default: none.
   */
  readonly stepMs?: number;
  /** Decides when an open engine is stalled. Absent: never. */
  readonly threshold?: StallThreshold | undefined;
  /** Called when the open engine is stalled, and at its first message after that. */
  readonly onSilence?: (silence: Silence) => void;
  /** Milliseconds from `open` to `opened`; absent = unlimited. */
  readonly openMs?: number;
  readonly onMessage?: (message: FromEngine) => void;
  /** Receives each line of the process's standard output and error. */
  readonly onLine?: (line: string) => void;
  /** Called once when the process has ended by itself or was killed because it hung; not after `close`. */
  readonly onEnded?: (loss: Loss) => void;
}

export class EngineChild {
  readonly #process: ChildProcess;
  readonly #options: EngineChildOptions;
  readonly #kills: MemoryKills;
  #heartbeat: Heartbeat | undefined;
  #stderrTail = '';
  #closed = false;
  /** Reason why this file killed the process. */
  #hung: string | undefined;
  #refuse: (error: Error) => void = () => undefined;

  constructor(forked: ChildProcess, options: EngineChildOptions) {
    this.#process = forked;
    this.#options = options;
    this.#kills = KILLS.get(forked) ?? new MemoryKills();
    this.#readLines(forked.stdout, () => undefined);
    this.#readLines(forked.stderr, (text) => {
      this.#stderrTail = (this.#stderrTail + text).slice(-STDERR_TAIL - 1);
    });
    forked.once('close', (code, signal) => this.#end(lossOf(code, signal, this.#stderrTail)));
  }

  /** Process id; undefined if the process has ended or could not be started. */
  get pid(): number | undefined {
    const { pid, exitCode, signalCode } = this.#process;
    return exitCode === null && signalCode === null ? pid : undefined;
  }

  /**
   * Opens the model.
   * @throws EngineRefusedError with the reason; EngineLostError if the process ended or did not open the
   * model in time.
   */
  open(options: EngineOptions): Promise<EngineFacts> {
    const { openMs, onMessage } = this.#options;
    if (this.#process.pid === undefined) return this.#notStarted();
    return new Promise((resolve, reject) => {
      const late = (): void => this.#hang(`the model was not open within ${openMs} ms`);
      const alarm = openMs === undefined ? undefined : setTimeout(late, openMs);
      this.#refuse = (error) => {
        clearTimeout(alarm);
        reject(error);
      };
      this.#process.on('message', (message: FromEngine) => {
        if (message.kind === 'refused') this.#refuse(new EngineRefusedError(message));
        if (message.kind === 'opened') {
          clearTimeout(alarm);
          this.#watch();
          resolve(message.facts);
        }
        if (message.kind === 'alive') this.#kills.look();
        this.#heartbeat?.heard();
        onMessage?.(message);
      });
      this.#process.once('error', (error) => this.#refuse(new EngineLostError(error.message)));
      const aliveMs = this.#limits && aliveInterval(this.#limits);
      const own = withOwnFile(options, this.#process);
      this.send({ kind: 'open', options: own, ...(aliveMs !== undefined && { aliveMs }) });
    });
  }

  /**
   * Requests a report on the devices of this machine, instead of opening a model. The report includes
   * `devices` even if the machine lacks them.
   * @throws EngineLostError if the process ended, for example because of a driver, or did not answer in time.
   */
  probe(runtimeLibrary: string, devices: readonly DeviceName[], withinMs: number): Promise<DeviceProbe> {
    return new Promise((resolve, reject) => {
      const alarm = setTimeout(() => this.#hang(`no answer within ${withinMs} ms`), withinMs);
      this.#refuse = (error) => {
        clearTimeout(alarm);
        reject(error);
      };
      this.#process.on('message', (message: FromEngine) => {
        if (message.kind !== 'probed') return;
        clearTimeout(alarm);
        resolve(message.probe);
      });
      this.#process.once('error', (error) => this.#refuse(new EngineLostError(error.message)));
      this.send({ kind: 'probe', runtimeLibrary, devices });
    });
  }

  /** Sends a message. Does nothing if the process is ending: `onEnded` follows. */
  send(message: ToEngine): void {
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  /**
   * Lets the engine release everything and exit; kills it after two thirds of the time. Then waits for its
   * end in the last third, because a hung process may never end.
   * @param ms longest time, in milliseconds
   */
  async close(ms = CLOSE_MS + KILL_MS): Promise<void> {
    this.#closed = true;
    this.#heartbeat?.stop();
    this.#refuse(new EngineLostError('the worker stops'));
    const child = this.#process;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => child.kill('SIGKILL'), (ms * CLOSE_MS) / (CLOSE_MS + KILL_MS));
      const never = setTimeout(resolve, ms);
      child.once('exit', () => {
        clearTimeout(late);
        clearTimeout(never);
        resolve();
      });
      this.send({ kind: 'close' });
    });
  }

  /** @throws EngineLostError with the reason, which Node.js reports in the next turn of the event loop */
  async #notStarted(): Promise<never> {
    await nextTurn();
    const { exitCode } = this.#process;
    const error = exitCode !== null && exitCode < 0 ? getSystemErrorName(exitCode) : undefined;
    const reason = `the process could not be started${error === undefined ? '' : ` (${error})`}`;
    const isShortage = error !== undefined && SHORTAGES.has(error);
    throw new EngineLostError(reason, isShortage ? { reason, stderrTail: '', isShortage } : undefined);
  }

  /** Undefined if the silence of the engine is not watched. */
  get #limits(): SilenceLimits | undefined {
    const { stepMs, threshold } = this.#options;
    return stepMs === undefined ? undefined : { stepMs, threshold };
  }

  /** Starts the heartbeat of the open engine. */
  #watch(): void {
    const { onSilence } = this.#options;
    const limits = this.#limits;
    if (limits === undefined) return;
    this.#heartbeat = new Heartbeat({
      ...limits,
      onSilent: () => this.#hang(`no step for ${limits.stepMs / 1000} s`),
      onStalled: (ms) => onSilence?.({ state: 'stalled', ms }),
      onRecovered: (ms) => onSilence?.({ state: 'recovered', ms }),
    });
  }

  /** Kills a process that does not answer. */
  #hang(reason: string): void {
    this.#hung = reason;
    this.#process.kill('SIGKILL');
    setTimeout(() => this.#end(lossOf(null, 'SIGKILL', this.#stderrTail)), KILL_MS).unref();
  }

  #end(ended: Loss): void {
    const loss = this.#hung === undefined ? this.#explained(ended) : { ...ended, reason: this.#hung };
    this.#heartbeat?.stop();
    this.#refuse(new EngineLostError(loss.reason, loss));
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onEnded?.(loss);
  }

  /** Adds `isOutOfMemory` to a loss for lack of memory. */
  #explained(loss: Loss): Loss {
    const { signal, stderrTail, reason } = loss;
    const killed = signal === 'SIGKILL' && this.#kills.happened;
    if (!killed && !(ABORTS.has(signal) && NO_MEMORY.test(stderrTail))) return loss;
    return { ...loss, isOutOfMemory: true, reason: `out_of_memory (${reason})` };
  }

  #readLines(output: NodeJS.ReadableStream | null, keep: (text: string) => void): void {
    let rest = '';
    output?.setEncoding('utf8').on('data', (text: string) => {
      keep(text);
      const lines = (rest + text).split('\n');
      rest = (lines.pop() ?? '').slice(-STDERR_TAIL);
      for (const line of lines) if (line.trim() !== '') this.#options.onLine?.(line);
    });
  }
}

function lossOf(exitCode: number | null, signal: string | null, stderr: string): Loss {
  // If the start was truncated, drop the partial first word: redaction would not recognise half a secret.
  const tail = stderr.length > STDERR_TAIL ? stderr.replace(/^\S*/, '') : stderr;
  return {
    ...(exitCode !== null && { exitCode }),
    ...(signal !== null && { signal }),
    stderrTail: tail.trim(),
    reason: signal === null ? `exit code ${exitCode}` : `signal ${signal}`,
  };
}
