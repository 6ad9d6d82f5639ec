/**
 * The worker's side of the bridge: hands sequences to the engine process and gives back their steps; keeps those that wait when the engine
 * is lost. Owns the sequences that are in the engine and its last estimate of a wait; never narrates (a message callback runs outside of
 * every story).
 */
import type { ChildProcess } from 'node:child_process';
import type { EngineFacts, EngineOptions, LoadEvent } from '../protocol/loading.ts';
import type { FromEngine, SequenceRequest } from '../protocol/messages.ts';
import { EngineChild, EngineLostError, type EngineTimeouts, forkEngine, type Loss } from './child.ts';
import { type Backpressure, SequenceInbox, type Step } from './sequence-inbox.ts';
import { Turns } from './turns.ts';

/** How long the engine has to confirm a cancel before its caller is told without it: longer than a usual step, short for whoever waits. */
const CANCEL_MS = 1000;

/** The sequences that a loss of the engine found in it. */
export interface LostCounts {
  /** Had a slot; each has failed with EngineLostError. */
  readonly running: number;
  /** Had none; each waits for the next engine. */
  readonly waiting: number;
}

export interface EngineEvents {
  /** The open engine ended by itself, or was ended because it hung. */
  readonly onLost: (loss: Loss, lost: LostCounts) => void;
  /** A line on the engine's standard output or error: the runtime warns there. */
  readonly onLine: (line: string) => void;
}

type Report = Extract<FromEngine, { kind: 'report' }>;

export class EngineClient {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #events: EngineEvents;
  readonly #sequences = new Map<number, SequenceInbox>();
  /** An engine process that was forked ahead of time, so that it booted while this process loaded its other half. */
  #forked: ChildProcess | undefined;
  #child: EngineChild | undefined;
  /** The engine is open and takes sequences. */
  #open = false;
  /** Why there is no engine at the moment. */
  #lost = 'no engine is running';
  /** Why there will be none any more. */
  #abandoned: string | undefined;
  /** When a slot is expected to be free, on performance.now()'s clock; undefined while one is, and while nobody knows. */
  #slotFreeAt: number | undefined;
  /** When an engine was last heard, on the same clock. */
  #heardAt: number | undefined;
  #nextId = 0;
  readonly #reports = new Turns<Report>((report) => this.#deliver(report));

  constructor(environment: NodeJS.ProcessEnv, events: EngineEvents, first?: ChildProcess) {
    this.#environment = environment;
    this.#events = events;
    this.#forked = first;
  }

  /** Sequences that hold a slot, those that wait for one, and the tokens that the former have in the cache. */
  get occupancy(): { readonly busy: number; readonly waiting: number; readonly tokens: number } {
    const here = [...this.#sequences.values()].filter((inbox) => !inbox.finished);
    const running = here.filter((inbox) => inbox.started);
    const tokens = running.reduce((sum, inbox) => sum + inbox.tokens, 0);
    return { busy: running.length, waiting: here.length - running.length, tokens };
  }

  /** Milliseconds until a slot is expected to be free, by the engine's last report; undefined when it made no estimate. */
  get slotFreeMs(): number | undefined {
    return this.#slotFreeAt === undefined ? undefined : Math.max(0, this.#slotFreeAt - performance.now());
  }

  /** Milliseconds since an engine was last heard, be it the one that is gone; undefined before the first word of the first. */
  get heartbeatAgeMs(): number | undefined {
    return this.#heardAt === undefined ? undefined : performance.now() - this.#heardAt;
  }

  /**
   * Opens the model in an engine process; sequences that wait are handed to it in their order. `onLoadEvent` hears how it goes on.
   * @throws EngineRefusedError with the reason; EngineLostError if the process ended before it could say anything.
   */
  start(
    options: EngineOptions,
    timeouts: EngineTimeouts,
    onLoadEvent: (message: LoadEvent) => void,
  ): Promise<EngineFacts> {
    const ready = this.#forked?.connected === true ? this.#forked : undefined;
    this.#forked = undefined;
    const child: EngineChild = new EngineChild(ready ?? forkEngine(this.#environment), {
      onMessage: (message) => {
        if (child === this.#child) this.#receive(message);
      },
      onLine: this.#events.onLine,
      onEnded: (loss) => this.#ended(loss),
    });
    this.#child = child;
    return child.open(options, timeouts, onLoadEvent);
  }

  /**
   * Runs one sequence. Yields a step for each report until one carries `finish`; aborting `signal` cancels the sequence, and the
   * last step then says `cancelled`, by which time its slot is free, unless the step says that the engine did not answer. A sequence that
   * has no slot yet when the engine is lost waits for the next one. While `flow` is held, the engine leaves the sequence out of its steps.
   * @throws EngineLostError when the engine ends in which the sequence has a slot, or when there will be none any more.
   */
  async *submit(
    request: Omit<SequenceRequest, 'id'>,
    signal: AbortSignal,
    flow?: Backpressure,
  ): AsyncGenerator<Step, void, void> {
    if (this.#abandoned !== undefined) throw new EngineLostError(this.#abandoned);
    const inbox = new SequenceInbox({ ...request, id: this.#nextId++ }, flow);
    let patience: NodeJS.Timeout | undefined;
    const cancel = (): void => {
      patience = this.#cancel(inbox);
    };
    this.#sequences.set(inbox.request.id, inbox);
    signal.addEventListener('abort', cancel, { once: true });
    flow?.onChange((held) => this.#pace(inbox, held));
    try {
      if (this.#open) this.#hand(inbox);
      else inbox.wait(this.#lost);
      if (signal.aborted) cancel();
      for (;;) {
        const step = await inbox.next();
        yield step;
        if (step.report.finish) return;
      }
    } finally {
      signal.removeEventListener('abort', cancel);
      clearTimeout(patience);
      this.#leave(inbox);
    }
  }

  /** There will be no engine any more: whoever waits for one is told why. */
  abandon(reason: string): void {
    this.#abandoned = reason;
    for (const inbox of this.#sequences.values()) inbox.fail(new EngineLostError(reason));
  }

  /** Lets the engine release everything and exit; kills it if it does not. */
  async close(): Promise<void> {
    this.#open = false;
    this.abandon('the worker stops');
    this.#forked?.kill('SIGKILL');
    await this.#child?.close();
  }

  /** Returns the timer after which the caller is told without the engine. */
  #cancel(inbox: SequenceInbox): NodeJS.Timeout | undefined {
    inbox.cancelled = true;
    if (!this.#open) {
      if (!inbox.finished) inbox.end();
      return undefined;
    }
    this.#child?.send({ kind: 'cancel', id: inbox.request.id });
    return setTimeout(() => inbox.giveUp(), CANCEL_MS);
  }

  /** Its caller has its last step, or goes before that. Its slot is the engine's to give back: until then it counts as taken. */
  #leave(inbox: SequenceInbox): void {
    const { id } = inbox.request;
    inbox.left = true;
    if (this.#open && !inbox.finished && !inbox.cancelled) this.#child?.send({ kind: 'cancel', id });
    if (!this.#open || inbox.finished) this.#sequences.delete(id);
  }

  #receive(message: FromEngine): void {
    this.#heardAt = performance.now();
    switch (message.kind) {
      case 'opened':
        this.#open = true;
        this.#submitWaiting();
        return;
      case 'report':
        this.#slotFreeAt = message.slotFreeMs === undefined ? undefined : performance.now() + message.slotFreeMs;
        this.#reports.put(message);
        return;
      case 'loading':
      case 'fallback':
      case 'memory':
      case 'progress':
      case 'refused':
      case 'probed':
      case 'pong':
        return; // answers that others wait for
      default:
        message satisfies never;
    }
  }

  #deliver({ batch, sequences }: Report): void {
    for (const report of sequences) {
      const inbox = this.#sequences.get(report.id);
      inbox?.put({ batch, report });
      if (inbox?.left && inbox.finished) this.#sequences.delete(report.id);
    }
  }

  #submitWaiting(): void {
    for (const inbox of this.#sequences.values()) {
      if (inbox.finished) continue;
      inbox.moved();
      this.#hand(inbox);
    }
  }

  /** Gives a sequence to the engine, which does not know whether it is held. */
  #hand({ request, backpressure }: SequenceInbox): void {
    this.#child?.send({ kind: 'submit', request });
    if (backpressure?.paused) this.#child?.send({ kind: 'pause', id: request.id });
  }

  /** Without an engine nothing runs: the next one is told when it gets the sequence. */
  #pace({ request }: SequenceInbox, held: boolean): void {
    if (this.#open) this.#child?.send({ kind: held ? 'pause' : 'resume', id: request.id });
  }

  #ended(loss: Loss): void {
    this.#reports.flush();
    this.#slotFreeAt = undefined;
    if (!this.#open) return; // it was never open: `start` has failed with the loss
    this.#open = false;
    this.#lost = loss.reason;
    let [running, waiting] = [0, 0];
    for (const [id, inbox] of this.#sequences) {
      if (inbox.left) this.#sequences.delete(id);
      else if (inbox.finished) continue;
      else if (inbox.cancelled) inbox.end();
      else if (inbox.started) {
        running += 1;
        inbox.fail(new EngineLostError(loss.reason, loss));
      } else {
        waiting += 1;
        inbox.wait(loss.reason);
      }
    }
    this.#events.onLost(loss, { running, waiting });
  }
}
