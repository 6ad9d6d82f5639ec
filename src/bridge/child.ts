/**
 * One engine process as the worker sees it: started, opened, watched, ended. What it says is passed on; how it ended is told once.
 * Knows nothing of sequences, and nothing of the engine that comes after it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { ENGINE_ENTRY } from '../config/paths.ts';
import type { DeviceName } from '../protocol/devices.ts';
import type { EngineFacts, EngineOptions, LoadEvent } from '../protocol/loading.ts';
import type { FromEngine, ToEngine } from '../protocol/messages.ts';
import type { DeviceProbe } from '../protocol/probe.ts';
import type { Refusal } from '../protocol/reasons.ts';
import { Heartbeat } from './heartbeat.ts';

/** Last words kept of an engine's standard error. */
const STDERR_TAIL = 8 * 1024;
/** How long a closing engine may take before it is killed. */
const CLOSE_MS = 2000;
/** How long the end of a killed engine is waited for: its memory should be free when the next one asks for some, but a process that hangs in a driver may never die. */
const KILL_MS = 1000;

/** How an engine process ended that should not have. */
export interface Loss {
  readonly exitCode?: number;
  readonly signal?: string;
  /** The last 8 KiB of its standard error, from the first whole word on. */
  readonly stderrTail: string;
  /** In a few words: `signal SIGKILL`, `exit code 1`, `no step for 60 s`. */
  readonly reason: string;
}

/** The engine process ended while a sequence was in it, or there is none. */
export class EngineLostError extends Error {
  override readonly name = 'EngineLostError';
  /** How it ended; absent where there was none. */
  readonly loss: Loss | undefined;

  constructor(reason: string, loss?: Loss) {
    super(reason);
    this.loss = loss;
  }
}

/** The engine could not open the model. The worker writes the sentence from `refusal`; the message is the code. */
export class EngineRefusedError extends Error {
  override readonly name = 'EngineRefusedError';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.reason.code);
    this.refusal = refusal;
  }
}

/** Starts an engine process; it waits for `open`. `environment` is all it gets to see. */
export function forkEngine(environment: NodeJS.ProcessEnv): ChildProcess {
  const child = fork(ENGINE_ENTRY, [], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
    env: environment,
    execArgv: [],
  });
  // A process that could not be started says so here and has no pid: `open` tells it as a loss.
  child.on('error', () => undefined);
  return child;
}

export interface ChildEvents {
  readonly onMessage: (message: FromEngine) => void;
  /** A line on its standard output or error. */
  readonly onLine: (line: string) => void;
  /** It ended by itself, or was killed because it hung. Not told of one that was closed. */
  readonly onEnded: (loss: Loss) => void;
}

/** Bounds of an engine's silence, in milliseconds. */
export interface EngineTimeouts {
  /** Without a word once the model is open: longer than any step takes. */
  readonly stepMs: number;
  /** From `open` to `opened`; absent = as long as it takes. */
  readonly openMs?: number;
}

export class EngineChild {
  readonly #process: ChildProcess;
  readonly #events: ChildEvents;
  #heartbeat: Heartbeat | undefined;
  #stderrTail = '';
  #over = false;
  /** Why it was killed. */
  #hung: string | undefined;
  #refuse: (error: Error) => void = () => undefined;

  constructor(forked: ChildProcess, events: ChildEvents) {
    this.#process = forked;
    this.#events = events;
    this.#readLines(forked.stdout, () => undefined);
    this.#readLines(forked.stderr, (text) => {
      this.#stderrTail = (this.#stderrTail + text).slice(-STDERR_TAIL - 1);
    });
    forked.once('close', (code, signal) => this.#end(lossOf(code, signal, this.#stderrTail)));
  }

  /**
   * Opens the model. `onLoadEvent` hears how it goes on.
   * @throws EngineRefusedError with the reason; EngineLostError if the process ended, or was too slow, before it could say anything.
   */
  open(
    options: EngineOptions,
    { stepMs, openMs }: EngineTimeouts,
    onLoadEvent: (message: LoadEvent) => void,
  ): Promise<EngineFacts> {
    if (this.#process.pid === undefined) {
      return Promise.reject(new EngineLostError('the process could not be started'));
    }
    return new Promise((resolve, reject) => {
      const late = (): void => this.#hang(`the model was not open within ${openMs} ms`);
      const alarm = openMs === undefined ? undefined : setTimeout(late, openMs);
      this.#refuse = (error) => {
        clearTimeout(alarm);
        reject(error);
      };
      this.#process.on('message', (message: FromEngine) => {
        if (isLoadEvent(message)) onLoadEvent(message);
        if (message.kind === 'refused') this.#refuse(new EngineRefusedError(message));
        if (message.kind === 'opened') {
          clearTimeout(alarm);
          this.#watch(stepMs);
          resolve(message.facts);
        }
        this.#heartbeat?.heard();
        this.#events.onMessage(message);
      });
      this.#process.once('error', (error) => this.#refuse(new EngineLostError(error.message)));
      this.send({ kind: 'open', options });
    });
  }

  /**
   * Asks what there is on this machine, in place of opening a model. `devices` are told of whether or not they are there.
   * @throws EngineLostError if the process ended, a driver's fault perhaps, or did not answer in time.
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

  /** A message to an engine that is going down is answered by its end. */
  send(message: ToEngine): void {
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  /** Lets it release everything and exit; kills it if it does not. One that hangs in a driver and cannot die is not waited for. */
  async close(): Promise<void> {
    this.#over = true;
    this.#heartbeat?.stop();
    this.#refuse(new EngineLostError('the worker stops'));
    const child = this.#process;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => child.kill('SIGKILL'), CLOSE_MS);
      const never = setTimeout(resolve, CLOSE_MS + KILL_MS);
      child.once('exit', () => {
        clearTimeout(late);
        clearTimeout(never);
        resolve();
      });
      this.send({ kind: 'close' });
    });
  }

  /** From now on it is to be heard. */
  #watch(stepMs: number): void {
    this.#heartbeat = new Heartbeat(
      stepMs,
      () => this.send({ kind: 'ping' }),
      () => this.#hang(`no step for ${stepMs / 1000} s`),
    );
  }

  /** It does not answer, so it is made to end. */
  #hang(reason: string): void {
    this.#hung = reason;
    this.#process.kill('SIGKILL');
    setTimeout(() => this.#end(lossOf(null, 'SIGKILL', this.#stderrTail)), KILL_MS).unref();
  }

  #end(ended: Loss): void {
    const loss = { ...ended, reason: this.#hung ?? ended.reason };
    this.#heartbeat?.stop();
    this.#refuse(new EngineLostError(loss.reason, loss));
    if (this.#over) return;
    this.#over = true;
    this.#events.onEnded(loss);
  }

  #readLines(output: NodeJS.ReadableStream | null, keep: (text: string) => void): void {
    let rest = '';
    output?.setEncoding('utf8').on('data', (text: string) => {
      keep(text);
      const lines = (rest + text).split('\n');
      rest = (lines.pop() ?? '').slice(-STDERR_TAIL);
      for (const line of lines) if (line.trim() !== '') this.#events.onLine(line);
    });
  }
}

function lossOf(exitCode: number | null, signal: string | null, stderr: string): Loss {
  // Where the beginning was cut off, half a word goes with it: half a secret would not be known as one.
  const tail = stderr.length > STDERR_TAIL ? stderr.replace(/^\S*/, '') : stderr;
  return {
    ...(exitCode !== null && { exitCode }),
    ...(signal !== null && { signal }),
    stderrTail: tail.trim(),
    reason: signal === null ? `exit code ${exitCode}` : `signal ${signal}`,
  };
}

const LOAD_EVENTS: readonly FromEngine['kind'][] = [
  'loading',
  'fallback',
  'memory',
  'progress',
] satisfies LoadEvent['kind'][];

const isLoadEvent = (message: FromEngine): message is LoadEvent => LOAD_EVENTS.includes(message.kind);
