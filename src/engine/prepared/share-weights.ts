/**
 * Shares the weights of a model with the other engines of the machine: finds weights that an engine has
 * saved, or saves them, and gives the graph that maps them. One engine saves; the others wait and map.
 */
import { readFileSync } from 'node:fs';
import type { UnsharedReason, WeightsProgress } from '../../protocol/decoder/sharing.ts';
import { sourceFiles, WEIGHTS_LAYOUT, type WeightsManifest } from '../../protocol/host/weights-cache.ts';
import type { EngineOptions } from '../../protocol/loading.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import type { ThreadCount } from '../../protocol/threads.ts';
import { usableThreads } from '../host/cpu-threads.ts';
import { trimHeap } from '../host/heap.ts';
import type { FileRange } from '../host/page-cache.ts';
import { LoadError } from '../load/load-error.ts';
import { PROMPT_LENGTH } from '../load/numeric-check.ts';
import type { ReadFile } from '../load/read-ahead.ts';
import type { ModelFile } from '../ort/model-file.ts';
import { LEAST_SAVED_BYTES, type Matrices } from './eligible-graph.ts';
import { folderOfPlaces, type SavedModel, saveWeights, UnusableWeights } from './save-weights.ts';
import { sourceParts } from './source-parts.ts';
import { freeDiskBytes, type KeyLock, openRoot, takeTurn, WeightsFolder } from './weights-folder.ts';
import { processorOf, weightsKey } from './weights-key.ts';

/** The runtime writes both orders of a matrix. */
const FILE_SHARE = 2;
/** Space that is left to others on the disk. */
const DISK_MARGIN = 256 * 2 ** 20;
/** Measured on two cores: bytes of float32 that are saved per second. */
const BYTES_PER_SECOND = 190e6;
/** Measured: memory of the process that saves, as a part of the weights as float32. */
export const SAVING_SHARE = 2.5;
const WAIT_STEP = 25;
/** More engines than take turns at the same time on a large machine, before one of them has succeeded. */
const MAX_ATTEMPTS = 64;

/** The model, and the functions that the engine provides. */
export interface ShareTarget extends SavedModel {
  readonly options: Pick<EngineOptions, 'weightsCache' | 'context' | 'runtimeLibrary'>;
  readonly matrices: Matrices;
  readonly report: (progress: WeightsProgress) => void;
  /**
   * Reserves memory until the returned function is called.
   * @throws LoadError `does_not_fit`
   */
  readonly reserve: (bytes: number) => () => void;
  /** Space that must stay free on the disk; replaced by tests. */
  readonly diskMargin?: number;
}

/** Weights to map. */
export interface SharedWeights {
  readonly model: Required<ModelFile>;
  /** The files that the runtime reads. */
  readonly files: readonly string[];
  /** The same files without holes. */
  readonly parts: readonly ReadFile[];
  readonly mappedBytes: number;
  readonly openingBytes: number;
  /** The logits of the session that saved the weights, for the prompt of the numeric check. */
  readonly logits: Float32Array;
  /** Waits for the turn to open them, and notes the attempt; undefined if the folder has no turns. */
  readonly takeTurn: () => KeyLock | undefined;
  /** Notes that the logits are right. */
  readonly prove: () => void;
  /**
   * Removes the weights after their logits have differed. Weights that this process has saved are marked, so
   * that no other process saves them again.
   */
  readonly reject: (reason: UnsharedReason) => void;
}

/** Weights cannot be shared. */
class NotShared extends Error {
  override readonly name = 'NotShared';
  readonly reason: UnsharedReason;

  constructor(reason: UnsharedReason) {
    super(reason.code);
    this.reason = reason;
  }
}

/**
 * The saved weights of a model. Saves them if there are none.
 * @returns undefined if the engine must copy the weights: sharing is switched off or does not pay, or a
 * reason has been reported.
 */
export function sharedWeights(target: ShareTarget): SharedWeights | undefined {
  const { weightsCache, context } = target.options;
  if (!weightsCache || context < PROMPT_LENGTH) return undefined;
  if (target.matrices.bytes < (weightsCache.leastBytes ?? LEAST_SAVED_BYTES)) return undefined;
  try {
    return find(target, openRoot(weightsCache.folder));
  } catch (error) {
    target.report({ state: 'unshared', reason: reasonOf(error) });
    return undefined;
  }
}

function reasonOf(error: unknown): UnsharedReason {
  if (error instanceof NotShared) return error.reason;
  if (error instanceof UnusableWeights) return { code: 'unusable', message: error.message };
  return { code: 'failed', message: messageOf(error) };
}

/** A key, and the facts for its manifest. */
interface Keyed {
  readonly root: string;
  readonly folder: WeightsFolder;
  readonly facts: Pick<WeightsManifest, 'layout' | 'runtime' | 'processor' | 'sources' | 'context'>;
}

function find(target: ShareTarget, root: string): SharedWeights {
  const { api, model, options, weightFiles } = target;
  const sources = sourceFiles(weightFiles);
  const processor = processorOf();
  const graph = model.edited.bytes;
  const [runtime, library] = [api.version, options.runtimeLibrary];
  const folder = new WeightsFolder(root, weightsKey({ folder: root, runtime, library, graph, sources, processor }));
  const made = { layout: WEIGHTS_LAYOUT, runtime, context: options.context };
  const keyed = { root, folder, facts: { ...made, processor: processor.name, sources } };
  const ready = folder.read();
  const manifest = ready ?? saveOnce(target, keyed);
  // A crash of the engine leaves no logits to compare.
  if (folder.attempts > MAX_ATTEMPTS) {
    const unusable = 'engines ended while they opened the saved weights';
    folder.markUnusable({ ...keyed.facts, unusable });
    throw new NotShared({ code: 'unusable', message: unusable });
  }
  const { saved, unusable } = manifest;
  if (!saved) throw new NotShared({ code: 'unusable', message: unusable ?? '' });
  const mapped = { ...model.edited, bytes: readFileSync(folder.file('graph')), folder: folderOfPlaces(folder, saved) };
  const logits = readFileSync(folder.file('logits'));
  return {
    // Nothing else has the right weights: the runtime must not open the file of the model instead.
    model: { path: model.path, edited: { ...mapped, isRequired: true } },
    files: [folder.file('weights'), ...saved.mappedSources],
    parts: [
      { path: folder.file('weights'), ranges: saved.parts.map(rangeOf) },
      ...sourceParts(mapped.bytes, mapped.folder, saved.mappedSources),
    ],
    mappedBytes: saved.mappedBytes,
    openingBytes: saved.openingBytes,
    logits: new Float32Array(new Uint8Array(logits).buffer),
    takeTurn: () => {
      const turn = takeTurn(root, turnsOf(usableThreads()), () => target.report({ state: 'queued' }));
      folder.noteAttempt();
      return turn;
    },
    prove: () => folder.prove(),
    reject: (reason) => {
      if (ready) folder.remove();
      else folder.markUnusable({ ...keyed.facts, unusable: 'the logits of the saved weights differ' });
      target.report({ state: 'unshared', reason });
    },
  };
}

/** The runtime packs weights with one thread. Fewer turns than threads leave memory and time to others. */
const turnsOf = ({ count }: ThreadCount): number => Math.max(1, Math.floor(count / 2));

const rangeOf = ([offset, bytes]: readonly [number, number]): FileRange => ({ offset, bytes });

/** Saves the weights, or waits until another process has saved them. */
function saveOnce(target: ShareTarget, keyed: Keyed): WeightsManifest {
  const { folder } = keyed;
  const lock = folder.lock(waitReporter(target, folder));
  try {
    return folder.read() ?? save(target, keyed);
  } finally {
    lock.release();
  }
}

/** Reports the progress of another process. */
function waitReporter({ report, matrices }: ShareTarget, folder: WeightsFolder): () => void {
  let next = 0;
  return () => {
    const part = folder.bytesWritten() / (FILE_SHARE * matrices.bytes);
    const percent = Math.min(100 - WAIT_STEP, Math.floor((100 * part) / WAIT_STEP) * WAIT_STEP);
    if (percent < next) return;
    next = percent + WAIT_STEP;
    report({ state: 'waiting', percent });
  };
}

function save(target: ShareTarget, { root, folder, facts }: Keyed): WeightsManifest {
  const { matrices, report } = target;
  const bytes = FILE_SHARE * matrices.bytes;
  folder.begin(); // removes the part that a killed process has written
  const [free, needed] = [freeDiskBytes(root), bytes + (target.diskMargin ?? DISK_MARGIN)];
  const release = reserveFor(target, folder, { free, needed });
  const began = performance.now();
  try {
    report({ state: 'saving', bytes, expectedMs: Math.ceil((1000 * matrices.bytes) / BYTES_PER_SECOND) });
    const manifest = { ...facts, saved: saveWeights(target, folder) };
    folder.publish(manifest);
    report({ state: 'saved', diskBytes: folder.diskBytes(), durationMs: performance.now() - began });
    return manifest;
  } catch (error) {
    if (error instanceof UnusableWeights) folder.markUnusable({ ...facts, unusable: error.message });
    else folder.remove();
    throw error;
  } finally {
    trimHeap();
    release();
  }
}

/** Reserves the memory for saving. @throws NotShared if the disk or the memory is too small */
function reserveFor(
  { matrices, reserve }: ShareTarget,
  folder: WeightsFolder,
  disk: { readonly free: number; readonly needed: number },
): () => void {
  try {
    if (disk.free < disk.needed) throw new NotShared({ code: 'disk_full', ...disk });
    return reserve(Math.ceil(SAVING_SHARE * matrices.bytes));
  } catch (error) {
    folder.remove();
    if (!(error instanceof LoadError) || error.reason.code !== 'does_not_fit') throw error;
    const { total, free = 0 } = error.reason.plan;
    throw new NotShared({ code: 'memory_short', needed: total, free });
  }
}
