/**
 * The worker's side of the bridge: starts the engine process, hands it sequences, gives back their reports, notices when it is lost.
 * Owns the sequences that are in the engine and its last estimate of a wait; never narrates (a message callback runs outside of every story).
 */
import { type ChildProcess, fork } from 'node:child_process';
import { ENGINE_ENTRY } from '../places.ts';
import { Mailbox, type Step } from './mailbox.ts';
import type { EngineFacts, EngineOptions, FromEngine, SequenceRequest, ToEngine } from './protocol.ts';

/** Last words kept of an engine's standard error. */
const STDERR_TAIL = 8 * 1024;
/** How long a closing engine may take before it is killed. */
const CLOSE_MS = 2000;

/** How an engine process ended that should not have. */
export interface Loss {
  readonly exitCode?: number;
  readonly signal?: string;
  readonly stderrTail: string;
  /** In a few words: `signal SIGKILL`, `exit code 1`. */
  readonly reason: string;
}

/** The engine process ended while a sequence was in it, or there is none. */
export class EngineLostError extends Error {
  override readonly name = 'EngineLostError';
}

/** The engine could not open the model: `message` is the runtime's own. */
export class EngineRefusedError extends Error {
  override readonly name = 'EngineRefusedError';
}

/** Whether a sequence is to pause because its reader lags: asked when it is submitted, told when that changes. */
export interface Flow {
  readonly held: boolean;
  /** `changed` is called at every change from then on; one listener at a time. */
  watch(changed: (held: boolean) => void): void;
}

export interface EngineEvents {
  /** The open engine ended by itself. All sequences in it have failed with EngineLostError. */
  readonly onLost: (loss: Loss, running: number) => void;
  /** A line on the engine's standard output or error: the runtime warns there. */
  readonly onLine: (line: string) => void;
}

/** Starts an engine process; it waits for `open`. `environment` is all it gets to see. */
export function forkEngine(environment: NodeJS.ProcessEnv): ChildProcess {
  const child = fork(ENGINE_ENTRY, [], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
    env: environment,
    execArgv: [],
  });
  // A process that could not be started says so here and has no pid: `start` tells it as a loss.
  child.on('error', () => undefined);
  return child;
}

export class EngineClient {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #events: EngineEvents;
  readonly #sequences = new Map<number, Mailbox>();
  #child: ChildProcess | undefined;
  #facts: EngineFacts | undefined;
  /** When a slot is expected to be free, on performance.now()'s clock; undefined while one is, and while nobody knows. */
  #slotFreeAt: number | undefined;
  #nextId = 0;
  #stderrTail = '';

  /** `first` is an engine process that was forked ahead of time, so that it booted while this process loaded its other half. */
  constructor(environment: NodeJS.ProcessEnv, events: EngineEvents, first?: ChildProcess) {
    this.#environment = environment;
    this.#events = events;
    this.#child = first;
  }

  /** Sequences that hold a slot, those that wait for one, and the tokens that the former have in the cache. */
  get occupancy(): { readonly busy: number; readonly waiting: number; readonly tokens: number } {
    const here = [...this.#sequences.values()].filter((mailbox) => !mailbox.finished);
    const running = here.filter((mailbox) => mailbox.started);
    const tokens = running.reduce((sum, mailbox) => sum + mailbox.tokens, 0);
    return { busy: running.length, waiting: here.length - running.length, tokens };
  }

  /** Milliseconds until a slot is expected to be free, by the engine's last report; undefined when it made no estimate. */
  get slotFreeMs(): number | undefined {
    return this.#slotFreeAt === undefined ? undefined : Math.max(0, this.#slotFreeAt - performance.now());
  }

  /**
   * Opens the model in an engine process. `onOpening` is called when the runtime is loaded and the device chosen.
   * @throws EngineRefusedError with the runtime's message; EngineLostError if the process ended before it could say anything.
   */
  start(options: EngineOptions, onOpening: (device: string, runtimeVersion: string) => void): Promise<EngineFacts> {
    const ready = this.#child?.connected === true ? this.#child : undefined;
    const child = ready ?? forkEngine(this.#environment);
    this.#child = child;
    this.#stderrTail = '';
    this.#listen(child);
    if (child.pid === undefined) return Promise.reject(new EngineLostError('the process could not be started'));
    return new Promise((resolve, reject) => {
      child.on('message', (message: FromEngine) => {
        if (message.kind === 'opening') onOpening(message.device, message.runtimeVersion);
        if (message.kind === 'opened') resolve(message.facts);
        if (message.kind === 'refused') reject(new EngineRefusedError(message.message));
        this.#receive(message);
      });
      child.once('error', (error) => reject(new EngineLostError(error.message)));
      child.once('close', (code, signal) => {
        const loss = lossOf(code, signal, this.#stderrTail);
        reject(new EngineLostError(loss.reason));
        this.#ended(child, loss);
      });
      this.#send({ kind: 'open', options });
    });
  }

  /**
   * Runs one sequence. Yields a step for each report until one carries `finish`; aborting `signal` cancels the sequence, and the
   * last step then says `cancelled`, by which time its slot is free. While `flow` is held, the engine leaves the sequence out of its steps.
   * @throws EngineLostError when the engine process ends, or is not there.
   */
  async *submit(
    request: Omit<SequenceRequest, 'id'>,
    signal: AbortSignal,
    flow?: Flow,
  ): AsyncGenerator<Step, void, void> {
    if (!this.#facts) throw new EngineLostError('no engine is running');
    const id = this.#nextId++;
    const mailbox = new Mailbox(request.prompt.length);
    const cancel = (): void => this.#send({ kind: 'cancel', id });
    this.#sequences.set(id, mailbox);
    signal.addEventListener('abort', cancel, { once: true });
    const pace = (held: boolean): void => this.#send({ kind: held ? 'pause' : 'resume', id });
    flow?.watch(pace);
    try {
      this.#send({ kind: 'submit', request: { ...request, id } });
      if (flow?.held) pace(true);
      if (signal.aborted) cancel();
      for (;;) {
        const step = await mailbox.next();
        yield step;
        if (step.report.finish) return;
      }
    } finally {
      signal.removeEventListener('abort', cancel);
      if (!mailbox.finished) cancel();
      this.#sequences.delete(id);
    }
  }

  /** Lets the engine release everything and exit; kills it if it does not. */
  async close(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#facts = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    const patience = setTimeout(() => child.kill('SIGKILL'), CLOSE_MS);
    if (child.connected) child.send({ kind: 'close' } satisfies ToEngine, () => undefined);
    await gone;
    clearTimeout(patience);
  }

  #send(message: ToEngine): void {
    // A message to an engine that is going down is answered by its end: `close` fails every sequence.
    if (this.#child?.connected) this.#child.send(message, () => undefined);
  }

  #receive(message: FromEngine): void {
    switch (message.kind) {
      case 'opened':
        this.#facts = message.facts;
        return;
      case 'report':
        this.#slotFreeAt = message.slotFreeMs === undefined ? undefined : performance.now() + message.slotFreeMs;
        for (const report of message.sequences) this.#sequences.get(report.id)?.put({ batch: message.batch, report });
        return;
      case 'opening':
      case 'refused':
        return; // answers to `start`
      default:
        message satisfies never;
    }
  }

  #listen(child: ChildProcess): void {
    for (const output of [child.stdout, child.stderr]) {
      let rest = '';
      output?.setEncoding('utf8').on('data', (text: string) => {
        this.#stderrTail = (this.#stderrTail + text).slice(-STDERR_TAIL);
        const lines = (rest + text).split('\n');
        rest = (lines.pop() ?? '').slice(-STDERR_TAIL);
        for (const line of lines) if (line.trim() !== '') this.#events.onLine(line);
      });
    }
  }

  #ended(child: ChildProcess, loss: Loss): void {
    if (this.#child !== child) return; // closed on purpose
    const wasOpen = this.#facts !== undefined;
    const running = this.#sequences.size;
    this.#child = undefined;
    this.#facts = undefined;
    this.#slotFreeAt = undefined;
    for (const mailbox of this.#sequences.values()) mailbox.fail(new EngineLostError(loss.reason));
    if (wasOpen) this.#events.onLost(loss, running);
  }
}

function lossOf(code: number | null, signal: string | null, stderrTail: string): Loss {
  const reason = signal === null ? `exit code ${code}` : `signal ${signal}`;
  return {
    ...(code !== null && { exitCode: code }),
    ...(signal !== null && { signal }),
    stderrTail: stderrTail.trim(),
    reason,
  };
}
