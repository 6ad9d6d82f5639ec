/**
 * All that differs between devices: how a session gets its provider, and where the memory of its cache comes from. A new device is a new
 * row here. Also how many threads the runtime computes with.
 */
import { readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { OrtApi, Pointer } from './api.ts';

export interface Device {
  readonly appendProvider: (api: OrtApi, sessionOptions: Pointer) => void;
  /** Where the cache is allocated. */
  readonly allocator: (api: OrtApi, session: Pointer) => Pointer;
  /** Describes the cache's memory to the runtime; to be released. */
  readonly memoryInfo: (api: OrtApi) => Pointer;
}

const ARENA_ALLOCATOR = 1;
const DEFAULT_MEMORY = 0;

/** Describes memory that this process reads and writes; to be released. */
export const hostMemoryInfo = (api: OrtApi): Pointer => api.createCpuMemoryInfo(ARENA_ALLOCATOR, DEFAULT_MEMORY);

const cpu: Device = {
  appendProvider: () => undefined,
  allocator: (api) => api.getAllocatorWithDefaultOptions(),
  memoryInfo: hostMemoryInfo,
};
const DEVICES: ReadonlyMap<string, Device> = new Map([['cpu', cpu]]);

/** @throws Error for a device that this engine does not know. */
export function deviceNamed(name: string): Device {
  const device = DEVICES.get(name);
  if (!device) throw new Error(`Unknown device ${name}: this engine knows ${[...DEVICES.keys()].join(', ')}`);
  return device;
}

const SMALL_MODEL_BYTES = 32 * 2 ** 20;

/**
 * All cores, asleep between steps. Measured on two cores with a 4-bit model of 135 M parameters, tokens/s at 1, 4 and 8 rows, beside a
 * process that works 1 ms of every 6 as one that serves HTTP does: one thread 48, 80, 103; two that sleep 72, 168, 195; two that spin 42,
 * 90, 160, and then the neighbour's timers are 14 ms late (p99) instead of 3. With the cores to themselves, spinning gains at most 10 %.
 * One thread for a small model: the embedded one (3.5 MB) is as fast with one, and the other core stays free.
 */
export function configureThreads(api: OrtApi, sessionOptions: Pointer, modelFile: string): void {
  const threads = modelBytes(modelFile) < SMALL_MODEL_BYTES ? 1 : availableParallelism();
  api.setIntraOpNumThreads(sessionOptions, threads);
  api.addSessionConfigEntry(sessionOptions, 'session.intra_op.allow_spinning', '0');
}

/** Bytes of the model's file and of the external data beside it, whose names begin with the file's; 0 when there is no such folder. */
function modelBytes(modelFile: string): number {
  const folder = dirname(modelFile);
  const stem = basename(modelFile);
  try {
    const files = readdirSync(folder).filter((name) => name.startsWith(stem));
    return files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  } catch {
    // The runtime says what is wrong with the path when it opens the model.
    return 0;
  }
}
