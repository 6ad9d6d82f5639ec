/**
 * The file with converted weights. The first engine that needs it writes it into the folder of saved weights,
 * under a lock; the other engines of the machine map it. An engine that cannot share the file writes one of
 * its own into the folder for temporary files, and removes its name when the runtime has mapped it. The
 * worker removes the file of an engine that is killed before (bridge/files/own-file.ts).
 */
import { createHash, randomUUID } from 'node:crypto';
import { closeSync, fstatSync, lstatSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ConversionProgress, Exactness } from '../../protocol/decoder/conversion.ts';
import type { UnsharedReason } from '../../protocol/decoder/sharing.ts';
import {
  isUnchanged,
  namesIn,
  type SourceFile,
  sourceFiles,
  WEIGHTS_LAYOUT,
  type WeightsManifest,
} from '../../protocol/host/weights-cache.ts';
import type { EngineOptions } from '../../protocol/loading.ts';
import type { ReasonCode } from '../../protocol/reasons.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { lockFile } from '../ffi.ts';
import { LoadError } from '../load/load-error.ts';
import { freeDiskBytes, makeFolders, openRoot, WeightsFolder } from '../prepared/weights-folder.ts';
import { convertWeights } from './convert-weights.ts';
import type { ConversionPlan } from './plan/conversion-plan.ts';

/** Raised when a kernel or the layout of the file changes its bytes. */
const CONVERSION_VERSION = 1;
/** Space that is left to others on the disk. */
const DISK_MARGIN = 256 * 2 ** 20;
/** Measured on two cores: bytes of the weight files that are converted and written per second. */
const BYTES_PER_SECOND = 400e6;
const PROGRESS_STEP = 25;
const NEW_FILE_MS = 60_000;
/** Longest time to map a file, on systems without locks. */
const UNMAPPED_FILE_MS = 3_600_000;
/** Permissions of the group and of all users to write. */
const WRITABLE_BY_OTHERS = 0o022;
/** In such a folder, users remove only files of their own. */
const STICKY = 0o1000;
/** Reasons that another folder can remove. */
const FOLDER_CODES: readonly ReasonCode[] = ['disk_full', 'not_written'];

/** A conversion that this engine needs. */
export interface ConversionTarget {
  readonly plan: ConversionPlan;
  /** `q8` or `q4` for floats that the engine quantizes, else `blocks`. The same on all devices. */
  readonly form: string;
  readonly weightFiles: readonly string[];
  readonly options: Pick<EngineOptions, 'weightsCache' | 'temporaryFolder' | 'temporaryName'>;
  readonly report: (progress: ConversionProgress) => void;
  /** Called before weights are converted. @throws LoadError for a model that cannot be opened anyway */
  readonly check: () => void;
  /** Space that must stay free on the disk; replaced by tests. */
  readonly diskMargin?: number;
}

export interface ConvertedFile {
  readonly path: string;
  readonly weights: readonly Exactness[];
  /** False for a file of this engine alone, to which no saved weights may refer. */
  readonly isShared: boolean;
  /**
   * Called when the runtime has mapped the file: removes the name of a file that this engine uses alone.
   * Never throws.
   */
  readonly release: () => void;
}

/**
 * The converted weights of a plan. Writes them if no engine has written them before.
 * @throws LoadError `cannot_convert` for wrong bytes in the weight files, `disk_full`, `not_written`
 */
export function convertedFile(target: ConversionTarget): ConvertedFile {
  const { weightsCache, temporaryFolder } = target.options;
  if (temporaryFolder !== undefined) removeLeftovers(temporaryFolder);
  let failure: LoadError | undefined;
  if (weightsCache) {
    try {
      return sharedFile(target, weightsCache.folder);
    } catch (error) {
      failure = failureOf(weightsCache.folder, error);
      if (!FOLDER_CODES.includes(failure.reason.code) || temporaryFolder === undefined) throw failure;
      target.report({ state: 'unshared', reason: unsharedReason(failure) });
    }
  }
  if (temporaryFolder === undefined) throw failure ?? new Error('There is no folder for converted weights');
  try {
    return ownFile(target, temporaryFolder);
  } catch (error) {
    throw failureOf(temporaryFolder, error);
  }
}

/** An error of the file system has a code; any other one is about the bytes of the weights. */
function failureOf(folder: string, error: unknown): LoadError {
  if (error instanceof LoadError) return error;
  const message = messageOf(error);
  const isSystem = error instanceof Error && 'syscall' in error;
  return new LoadError(isSystem ? { code: 'not_written', folder, message } : { code: 'cannot_convert', message });
}

function unsharedReason({ reason }: LoadError): UnsharedReason {
  if (reason.code === 'disk_full') return { code: 'disk_full', needed: reason.needed, free: reason.free };
  return { code: 'failed', message: reason.code === 'not_written' ? reason.message : reason.code };
}

function sharedFile(target: ConversionTarget, path: string): ConvertedFile {
  const root = inFolder(path, () => openRoot(path));
  const sources = sourceFiles(target.weightFiles);
  const folder = new WeightsFolder(root, keyOf(target, sources));
  const { converted } = folder.read() ?? writeOnce(target, folder, sources);
  if (!converted) throw new LoadError({ code: 'not_written', folder: root, message: 'its files are damaged' });
  return { path: folder.file('weights'), weights: converted.weights, isShared: true, release: () => undefined };
}

/**
 * The result of `use`.
 * @throws LoadError `not_written` with the reason why the folder cannot be used: its owner, no locks
 */
function inFolder<T>(folder: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    throw new LoadError({ code: 'not_written', folder, message: messageOf(error) });
  }
}

/**
 * The key: 32 hexadecimal digits, a hash of everything on which the bytes of the file depend. The tasks have
 * the place, the format, the form and the destination of each matrix.
 */
function keyOf({ plan, form }: ConversionTarget, sources: readonly SourceFile[]): string {
  const facts = [WEIGHTS_LAYOUT, CONVERSION_VERSION, form, sources, plan.bytes, plan.tasks];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);
}

/** Writes the file, or waits until another process has written it. */
function writeOnce(target: ConversionTarget, folder: WeightsFolder, sources: readonly SourceFile[]): WeightsManifest {
  const lock = inFolder(dirname(folder.path), () => folder.lock(waitReporter(target, folder)));
  try {
    const found = folder.read();
    if (found) return found;
    folder.begin(); // removes the part that a killed process has written
    const weights = write(target, folder.path, folder.file('weights'));
    const { size: fileBytes, mtimeMs: modifiedMs } = statSync(folder.file('weights'));
    const converted = { form: target.form, fileBytes, modifiedMs, weights, digest: folder.digest(false) };
    const manifest = { layout: WEIGHTS_LAYOUT, runtime: '', processor: '', sources, context: 0, converted };
    folder.publish(manifest);
    return manifest;
  } catch (error) {
    folder.remove();
    throw error;
  } finally {
    lock.release();
  }
}

/** Reports the progress of another process. */
function waitReporter({ plan, report }: ConversionTarget, folder: WeightsFolder): () => void {
  let next = 0;
  return () => {
    const percent = stepOf(folder.diskBytes() / plan.bytes);
    if (percent < next) return;
    next = percent + PROGRESS_STEP;
    report({ state: 'waiting', percent });
  };
}

const stepOf = (part: number): number =>
  Math.min(100 - PROGRESS_STEP, Math.floor((100 * part) / PROGRESS_STEP) * PROGRESS_STEP);

/**
 * Converts all weights, with progress.
 * @param exists the file exists, and is empty
 * @throws LoadError `disk_full`, `cannot_convert` for changed weight files; the error of the kernels
 */
function write(target: ConversionTarget, folder: string, path: string, exists = false): Exactness[] {
  const { plan, weightFiles, report, diskMargin, check } = target;
  const { bytes, sourceBytes } = plan;
  check();
  const [needed, free] = [bytes + (diskMargin ?? DISK_MARGIN), freeDiskBytes(folder)];
  if (free < needed) throw new LoadError({ code: 'disk_full', folder, needed, free });
  const began = performance.now();
  const expectedMs = Math.ceil((1000 * sourceBytes) / BYTES_PER_SECOND);
  report({ state: 'converting', bytes: sourceBytes, diskBytes: bytes, expectedMs });
  let last = 0;
  const onProgress = (done: number): void => {
    const percent = stepOf(done / sourceBytes);
    if (percent <= last) return;
    last = percent;
    const ms = performance.now() - began;
    report({ state: 'progress', percent, expectedMs: Math.ceil((ms * (sourceBytes - done)) / done) });
  };
  const sources = sourceFiles(weightFiles);
  const weights = convertWeights(plan, { weightFiles, path, exists, onProgress });
  if (!sources.every(isUnchanged))
    throw new LoadError({
      code: 'cannot_convert',
      message: 'start the worker again: the weight files changed while they were converted',
    });
  report({ state: 'converted', diskBytes: bytes, durationMs: performance.now() - began });
  return weights;
}

/** A file for this engine alone. */
function ownFile(target: ConversionTarget, folder: string): ConvertedFile {
  makeFolders(folder, 0o700);
  for (const path of [dirname(folder), folder]) requireOwn(path);
  const path = join(folder, target.options.temporaryName ?? `${randomUUID()}.bin`);
  const descriptor = openSync(path, 'wx', 0o600);
  const release = (): void => {
    closeSync(descriptor);
    removeFile(path);
  };
  try {
    lockFile(descriptor);
    return { path, weights: write(target, folder, path, true), isShared: false, release };
  } catch (error) {
    release();
    throw error;
  }
}

/**
 * In a folder that another user has made, that user could replace the file before the runtime maps it.
 * @throws LoadError for a folder in which another user can replace files
 */
function requireOwn(folder: string): void {
  const { uid, mode } = lstatSync(folder);
  const isOwn = uid === process.getuid?.() || uid === 0;
  const isProtected = (mode & WRITABLE_BY_OTHERS) === 0 || (mode & STICKY) !== 0;
  if (!process.getuid || (isOwn && isProtected)) return;
  throw new LoadError({ code: 'not_written', folder, message: 'other users can write to it' });
}

/** Windows refuses to remove a file that is mapped: the next engine removes it. Never throws. */
function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The file is still in use.
  }
}

/**
 * Removes the files of engines that have ended: nobody holds their locks. A new file is left alone, because
 * its engine may not have locked it yet; on systems without locks, its engine may not have mapped it yet.
 */
function removeLeftovers(folder: string): void {
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    try {
      if (isLeftover(path)) removeFile(path);
    } catch {
      // Another engine has removed the file.
    }
  }
}

function isLeftover(path: string): boolean {
  const descriptor = openSync(path, 'r');
  try {
    const age = Date.now() - fstatSync(descriptor).mtimeMs;
    if (age < NEW_FILE_MS) return false;
    const locked = lockFile(descriptor);
    return locked ?? age > UNMAPPED_FILE_MS;
  } finally {
    closeSync(descriptor);
  }
}
