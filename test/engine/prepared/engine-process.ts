/** An engine process that opens a model with saved weights, and its reports. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ConversionProgress } from '../../../src/protocol/decoder/conversion.ts';
import type { WeightsProgress } from '../../../src/protocol/decoder/sharing.ts';
import { anonymousBytes } from '../../../src/protocol/host/process-memory.ts';
import type { EngineOptions } from '../../../src/protocol/loading.ts';
import type { FromEngine, ToEngine } from '../../../src/protocol/messages.ts';
import { engineProcess, onCpu, options, request } from '../harness.ts';

/** The options of an engine that saves weights of any size. */
export const openOptions = (model: string, folder: string, overrides: Partial<EngineOptions> = {}): EngineOptions => ({
  ...options,
  ...onCpu(model),
  weightsCache: { folder, leastBytes: 1 },
  ...overrides,
});

export class EngineProcess {
  readonly progress: WeightsProgress[] = [];
  readonly conversions: ConversionProgress[] = [];
  readonly #said: FromEngine[] = [];
  #child: ChildProcess | undefined;

  open(engineOptions: EngineOptions): void {
    const child = this.#fork(engineProcess);
    child.send({ kind: 'open', options: engineOptions } satisfies ToEngine);
  }

  /** A process that holds the lock of a model's weights, and has written a part of them. */
  async hold(engineOptions: EngineOptions): Promise<void> {
    const script = fileURLToPath(new URL('./stopped-maker.mjs', import.meta.url));
    await once(this.#fork(script, [JSON.stringify(engineOptions)]), 'message');
  }

  /** Resolves after the first report of one of these states. */
  async reported(...states: WeightsProgress['state'][]): Promise<void> {
    await this.#until(() => this.progress.find(({ state }) => states.includes(state)));
  }

  /** Resolves after the first report of a conversion in this state. */
  async converting(state: ConversionProgress['state']): Promise<void> {
    await this.#until(() => this.conversions.find((one) => one.state === state));
  }

  /** @throws Error if the engine refuses the model. */
  async opened(): Promise<void> {
    const end = await this.#until(() => this.#said.find(({ kind }) => kind === 'opened' || kind === 'refused'));
    if (end.kind === 'refused') throw new Error(JSON.stringify(end.reason));
  }

  /** The ids after a short prompt. */
  async generate(): Promise<number[]> {
    const order = request({ maxTokens: 8 });
    this.#child?.send({ kind: 'submit', request: order } satisfies ToEngine);
    const reports = () =>
      this.#said.flatMap((one) => (one.kind === 'report' ? one.sequences : [])).filter(({ id }) => id === order.id);
    await this.#until(() => reports().find(({ finish }) => finish !== undefined));
    return reports().flatMap(({ tokens }) => tokens.map(({ id }) => id));
  }

  /** Bytes of memory of the process alone. */
  get ownBytes(): number {
    return anonymousBytes(this.#child?.pid ?? -1) ?? Number.NaN;
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  async gone(): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  #fork(script: string, args: readonly string[] = []): ChildProcess {
    const child = fork(script, args, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child = child;
    child.on('message', (message: FromEngine) => {
      this.#said.push(message);
      if (message.kind === 'weights') this.progress.push(message.progress);
      if (message.kind === 'conversion') this.conversions.push(message.progress);
    });
    return child;
  }

  async #until<T>(find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (this.#child) await once(this.#child, 'message');
    }
  }
}
