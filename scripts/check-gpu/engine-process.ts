/**
 * An engine in a process of its own, as a worker runs it: opens a model, runs sequences, can be killed. Shared
 * by check-device.ts and the check on a card.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describeRefusal } from '../../src/lifecycle/reasons.ts';
import type { DeviceName } from '../../src/protocol/devices.ts';
import type { EngineFacts, EngineOptions } from '../../src/protocol/loading.ts';
import type { MemoryPlan } from '../../src/protocol/memory-plan.ts';
import type { FromEngine, ToEngine } from '../../src/protocol/messages.ts';
import type { DeviceProbe } from '../../src/protocol/probe.ts';
import type { ReasonCode } from '../../src/protocol/reasons.ts';
import { GREEDY } from '../../src/protocol/sampling.ts';
import { ROOT } from './root.ts';

const ENGINE = join(ROOT, 'dist', 'engine', 'process.cjs');
/** End of stderr that a message quotes, in characters. */
const QUOTED = 2000;

/** A prompt and the number of ids to generate, greedily and without an end id. */
export interface Task {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
}

/** The ids of a sequence, with the times of their reports in milliseconds. */
export interface Output {
  readonly ids: readonly number[];
  /** On the clock of performance.now(), when the report arrived. */
  readonly at: readonly number[];
  /** Sum of the times of all steps of the engine until then, on the engine's own clock. */
  readonly busy: readonly number[];
}

export interface Spawned {
  /** Variables besides those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which the process is killed. */
  readonly timeoutMs: number;
}

/** The engine does not open a model on a device. The message is a sentence. */
export class EngineRefused extends Error {
  override readonly name = 'EngineRefused';
  readonly code: ReasonCode;

  constructor(refusal: Received<'refused'>) {
    super(describeRefusal(refusal));
    this.code = refusal.reason.code;
  }
}

/** The process was killed at the end of its time. */
export class EngineStopped extends Error {
  override readonly name = 'EngineStopped';
}

interface Running {
  readonly ids: number[];
  readonly at: number[];
  readonly busy: number[];
  readonly resolve: (output: Output) => void;
  readonly reject: (error: Error) => void;
}

type Received<Kind extends FromEngine['kind']> = Extract<FromEngine, { readonly kind: Kind }>;

/** A started process and its messages. */
class EngineChild {
  readonly child: ChildProcess;
  /** Settles with the reason when the process has ended. */
  readonly ended: Promise<Error>;
  #stderr = '';
  #isLate = false;

  constructor({ env = {}, timeoutMs }: Spawned) {
    this.child = fork(ENGINE, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
    });
    const alarm = setTimeout(() => {
      this.#isLate = true;
      this.child.kill('SIGKILL');
    }, timeoutMs);
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-QUOTED);
    });
    this.ended = once(this.child, 'exit').then(([code, signal]) => {
      clearTimeout(alarm);
      if (this.#isLate) return new EngineStopped(`stopped after ${Math.round(timeoutMs / 1000)} s`);
      const lines = this.#stderr.trim().split('\n');
      const reason = lines.findLast((one) => /error/i.test(one)) ?? lines.at(-1);
      return new Error(`the engine ended: ${signal ?? code} ${reason}`.trim());
    });
  }

  /** Sends nothing to a process that has ended. */
  send(message: ToEngine): void {
    if (this.child.connected) this.child.send(message, () => undefined);
  }

  async close(): Promise<void> {
    this.send({ kind: 'close' });
    await this.ended;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }
}

export class EngineProcess {
  readonly facts: EngineFacts;
  /** The planned memory; absent for a file whose graph is read by the runtime only. */
  readonly plan: MemoryPlan | undefined;
  /** Milliseconds from the start of the process until the model was open. */
  readonly openMs: number;
  readonly #process: EngineChild;
  readonly #running = new Map<number, Running>();
  #lastId = 0;
  #busyMs = 0;
  #onToken: () => void = () => undefined;
  /** Why the process has ended; undefined while it runs. */
  #end: Error | undefined;

  private constructor(started: EngineChild, facts: EngineFacts, plan: MemoryPlan | undefined, openMs: number) {
    this.facts = facts;
    this.plan = plan;
    this.openMs = openMs;
    this.#process = started;
    started.child.on('message', (message: FromEngine) => {
      if (message.kind === 'report') this.#take(message);
    });
    void started.ended.then((error) => {
      this.#end = error;
      for (const { reject } of this.#running.values()) reject(error);
      this.#running.clear();
    });
  }

  /** @throws EngineRefused if the engine does not open the model; Error if it ends. */
  static async open(options: EngineOptions, spawned: Spawned): Promise<EngineProcess> {
    const began = performance.now();
    const started = new EngineChild(spawned);
    let plan: MemoryPlan | undefined;
    const opened = new Promise<EngineFacts>((resolve, reject) => {
      started.child.on('message', (message: FromEngine) => {
        if (message.kind === 'memory') plan = message.plan;
        if (message.kind === 'opened') resolve(message.facts);
        if (message.kind === 'refused') reject(new EngineRefused(message));
      });
      void started.ended.then(reject);
    });
    started.send({ kind: 'open', options });
    const facts = await opened.catch(async (error: unknown) => {
      await started.kill();
      throw error;
    });
    return new EngineProcess(started, facts, plan, performance.now() - began);
  }

  get pid(): number {
    return this.#process.child.pid ?? 0;
  }

  /** @throws Error if the sequence fails, or the engine ends before it has finished. */
  run({ prompt, maxTokens }: Task): Promise<Output> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#end) throw this.#end;
      this.#running.set(id, { ids: [], at: [], busy: [], resolve, reject });
      const request = { id, prompt, maxTokens, minTokens: maxTokens, endIds: [], sampling: GREEDY };
      this.#process.send({ kind: 'submit', request });
    });
  }

  /** Resolves when so many sequences have at least so many ids each. */
  async reached(sequences: number, ids: number): Promise<void> {
    const isReached = (): boolean =>
      [...this.#running.values()].filter((running) => running.ids.length >= ids).length >= sequences;
    const tokens = new Promise<void>((resolve) => {
      this.#onToken = () => {
        if (isReached()) resolve();
      };
    });
    const lost = await Promise.race([tokens, this.#process.ended]);
    this.#onToken = () => undefined;
    if (lost) throw lost;
  }

  close(): Promise<void> {
    return this.#process.close();
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  #take({ sequences, stepMs = 0 }: Received<'report'>): void {
    const now = performance.now();
    this.#busyMs += stepMs;
    for (const { id, tokens, finish } of sequences) {
      const running = this.#running.get(id);
      if (!running) continue;
      for (const token of tokens) {
        running.ids.push(token.id);
        running.at.push(now);
        running.busy.push(this.#busyMs);
      }
      if (!finish) continue;
      this.#running.delete(id);
      if ('message' in finish) running.reject(new Error(finish.message));
      else running.resolve(running);
    }
    this.#onToken();
  }
}

/** The devices of this machine, as the engine reports them. @throws Error if the engine does not answer. */
export async function probeMachine(
  runtimeLibrary: string,
  devices: readonly DeviceName[],
  env: Readonly<Record<string, string>> = {},
): Promise<DeviceProbe> {
  const started = new EngineChild({ env, timeoutMs: 60_000 });
  const probed = new Promise<DeviceProbe>((resolve, reject) => {
    started.child.on('message', (message: FromEngine) => {
      if (message.kind === 'probed') resolve(message.probe);
    });
    void started.ended.then(reject);
  });
  started.send({ kind: 'probe', runtimeLibrary, devices });
  const probe = await probed;
  await started.close();
  return probe;
}
