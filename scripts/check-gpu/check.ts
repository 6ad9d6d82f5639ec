/** The settings, the page and the results that all parts of a check share. */
import { readFileSync } from 'node:fs';
import type { DeviceName } from '../../src/protocol/devices.ts';
import { proportionalIn } from '../../src/protocol/host/process-memory.ts';
import type { EngineOptions } from '../../src/protocol/loading.ts';
import type { DeviceProbe } from '../../src/protocol/probe.ts';
import type { ReasonCode } from '../../src/protocol/reasons.ts';
import { Skipped } from './budget.ts';
import type { Mode } from './correctness.ts';
import { EngineRefused, EngineStopped, probeMachine } from './engine-process.ts';
import type { Page } from './page.ts';
import { candidateFor, convertedIn } from './random-weights.ts';
import type { Format, Scale, ShapeName } from './shapes.ts';

export interface Check {
  readonly runtimeLibrary: string;
  readonly env: Readonly<Record<string, string>>;
  readonly scale: Scale;
  /** Folder of the random models. */
  readonly folder: string;
  readonly page: Page;
  readonly probe: DeviceProbe;
  /** Bytes per second of the memory of the card; undefined if unknown. */
  readonly bandwidth: number | undefined;
  /** Engine processes at a time where no time is measured. */
  readonly parallel: number;
  readonly results: Results;
}

/** A model on a device, in a mode. */
export interface Setup {
  readonly device: DeviceName;
  readonly shape: ShapeName;
  readonly format: Format;
  readonly mode: Mode;
}

export const nameOf = ({ device, shape, format, mode }: Setup): string => [device, shape, format, mode].join(', ');

/** Measured figures by setup, and the wrong results. */
export class Results {
  readonly wrong: string[] = [];
  /** Pairs of a model and a mode whose ids were to be compared with known ids, and those that were. */
  readonly compared = { all: 0, done: 0 };
  /** Rows of the section of modes that were not used, each once. */
  readonly simpler = new Map<string, readonly string[]>();
  readonly #rates = new Map<string, number>();
  readonly #bytes = new Map<string, number>();

  setRate(setup: Setup, rows: number, tokensPerSecond: number): void {
    if (Number.isFinite(tokensPerSecond)) this.#rates.set(`${nameOf(setup)}, ${rows}`, tokensPerSecond);
  }

  rateOf(setup: Setup, rows: number): number | undefined {
    return this.#rates.get(`${nameOf(setup)}, ${rows}`);
  }

  /** Bytes of weights that a decoded token reads. */
  setBytes(setup: Setup, bytes: number): void {
    this.#bytes.set(nameOf(setup), bytes);
  }

  bytesOf(setup: Setup): number | undefined {
    return this.#bytes.get(nameOf(setup));
  }
}

/** Name of the file of a model. */
export const modelName = (shape: ShapeName, format: Format): string => `${shape} ${format}`;

/** The options of an engine for a random model. */
export function optionsOf(
  { runtimeLibrary, folder, scale }: Check,
  { device, shape, format, mode }: Setup,
  more: Partial<EngineOptions> = {},
): EngineOptions {
  const model = candidateFor(folder, modelName(shape, format), { shape: scale.shapes[shape], format });
  const { context } = scale;
  return {
    ...{ runtimeLibrary, candidates: [model(device, context)], names: {}, context, slots: Math.max(...scale.rows) },
    ...{ prefillChunk: 'auto', threads: 'auto', speculation: 'off', gpuGraph: mode },
    weightsCache: { folder: convertedIn(folder) },
    ...more,
  };
}

/** Free bytes of the memory of the card; undefined without an NVIDIA card. */
export async function freeOnCard({ runtimeLibrary, env }: Pick<Check, 'runtimeLibrary' | 'env'>) {
  const { nvidia } = await probeMachine(runtimeLibrary, [], env);
  return nvidia?.gpus[0]?.freeBytes;
}

/** Memory of a process in bytes, as the kernel counts it; undefined if it cannot be read. */
export function hostMemoryOf(pid: number): number | undefined {
  try {
    return proportionalIn(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Progress for the person who waits. */
export const say = (text: string): void => {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
};

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Reasons of the engine that are no faults of it. */
const SOUND: readonly ReasonCode[] = ['does_not_fit', 'cache_too_small', 'operator_ignores'];

/** True for work without a result that is no fault: no time, no memory, a model that a device does not compute. */
export const isSound = (error: unknown): boolean =>
  error instanceof Skipped ||
  error instanceof EngineStopped ||
  (error instanceof EngineRefused && SOUND.includes(error.code));

/** Runs the work of a list, at most `parallel` at a time, in the order of the list. */
export async function inParallel<T>(
  parallel: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const next = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: parallel }, next));
}
