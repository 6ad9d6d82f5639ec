/**
 * The folder of one key in the folder of saved weights. One process at a time fills it: the process holds a
 * lock, which the kernel releases when the process ends for any reason. The manifest is written last, so that
 * a folder of a killed process counts for nothing.
 */
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { LOCK_SUFFIX, readManifest, SAVED, type WeightsManifest } from '../../protocol/host/weights-cache.ts';
import { lockFile } from '../ffi.ts';

/** Maximum time to wait for a process that saves weights, in milliseconds: a stopped one never ends. */
const MAX_WAIT_MS = 600_000;
const RETRY_MS = 25;
/** Permission of all users to write. */
const WRITABLE_BY_ALL = 0o002;
/** The unit of `blocks` in `stat`. */
const BLOCK_BYTES = 512;
const SAMPLES = 64;
const SAMPLE_BYTES = 4096;

/** A lock that this process holds. */
export interface KeyLock {
  /** Can be called twice. */
  readonly release: () => void;
}

/**
 * Waits for the turn to open saved weights. The runtime packs each matrix again for a moment: engines that
 * start together would need that memory at the same time.
 * @param turns number of engines that open at the same time
 * @param onWait called once if other engines have all turns
 * @returns undefined if the folder cannot be written, or if other engines hold all turns for too long
 */
export function takeTurn(root: string, turns: number, onWait: () => void): KeyLock | undefined {
  let waits = false;
  const end = performance.now() + MAX_WAIT_MS;
  try {
    while (performance.now() < end) {
      for (let turn = 0; turn < turns; turn++) {
        const descriptor = openSync(join(root, `turn-${turn}${LOCK_SUFFIX}`), 'a+', 0o644);
        const locked = lockFile(descriptor);
        if (locked === true) return lockOf(descriptor);
        closeSync(descriptor);
        if (locked === undefined) return undefined;
      }
      if (!waits) onWait();
      waits = true;
      pause();
    }
  } catch {
    // A read-only folder: nothing bounds the memory of engines that start together.
  }
  return undefined;
}

function lockOf(descriptor: number): KeyLock {
  let isHeld = true;
  return {
    release: () => {
      if (isHeld) closeSync(descriptor);
      isHeld = false;
    },
  };
}

/** The engine has nothing else to do before the model is open. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
}

/** The folder of all keys, made if it is missing. @throws Error with the reason why it cannot be used */
export function openRoot(path: string): string {
  makeFolders(path);
  const root = realpathSync(path);
  const { uid, mode } = lstatSync(root);
  const isOwn = uid === process.getuid?.() || uid === 0;
  if (!isOwn || (mode & WRITABLE_BY_ALL) !== 0) throw new Error(`other users can write to ${root}`);
  return root;
}

/**
 * Makes a folder, and all missing folders above. Not `recursive`: Node.js 20 and 22 then never return for a
 * folder below /proc, and report ENOENT for a read-only disk.
 * @throws Error of the system
 */
export function makeFolders(path: string, mode = 0o755): void {
  if (lstatSync(path, { throwIfNoEntry: false })) return;
  makeFolders(dirname(path), mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Free bytes of the disk for this user. */
export function freeDiskBytes(root: string): number {
  const { bavail, bsize } = statfsSync(root);
  return bavail * bsize;
}

export class WeightsFolder {
  readonly path: string;
  readonly #lockPath: string;

  /** @param root from `openRoot` */
  constructor(root: string, key: string) {
    this.path = join(root, key);
    this.#lockPath = this.path + LOCK_SUFFIX;
  }

  file(name: keyof typeof SAVED): string {
    return join(this.path, SAVED[name]);
  }

  /**
   * The manifest; undefined if the folder is missing, not complete, or damaged. Reads samples of the weights.
   */
  read(): WeightsManifest | undefined {
    const manifest = readManifest(this.path);
    const content = manifest?.saved ?? manifest?.converted;
    if (!content) return manifest;
    try {
      const { size, mtimeMs } = statSync(this.file('weights'));
      const isWhole = size === content.fileBytes && mtimeMs === (manifest?.converted?.modifiedMs ?? mtimeMs);
      return isWhole && this.digest(content === manifest?.saved) === content.digest ? manifest : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * SHA-256 of the graph, the logits and samples of the weights. Converted weights have no graph and no
   * logits.
   * @throws Error if a file is missing
   */
  digest(hasGraph = true): string {
    const hash = createHash('sha256');
    if (hasGraph) hash.update(readFileSync(this.file('graph'))).update(readFileSync(this.file('logits')));
    const file = openSync(this.file('weights'), 'r');
    try {
      const { size } = fstatSync(file);
      const sample = Buffer.alloc(SAMPLE_BYTES);
      for (let index = 0; index < SAMPLES; index++) {
        const position = Math.floor((Math.max(0, size - SAMPLE_BYTES) * index) / (SAMPLES - 1));
        hash.update(sample.subarray(0, readSync(file, sample, 0, SAMPLE_BYTES, position)));
      }
      return hash.digest('hex');
    } finally {
      closeSync(file);
    }
  }

  /** Bytes of the disk that the weights take, without holes; 0 before they are written. */
  diskBytes(): number {
    return (statSync(this.file('weights'), { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK_BYTES;
  }

  /** The size of the weights that another process has written so far. */
  bytesWritten(): number {
    return statSync(this.file('weights'), { throwIfNoEntry: false })?.size ?? 0;
  }

  /**
   * Takes the lock of the key.
   * @param onWait called while another process holds the lock
   * @throws Error if the folder cannot be written, has no locks, or if another process holds the lock too
   * long
   */
  lock(onWait: () => void): KeyLock {
    const end = performance.now() + MAX_WAIT_MS;
    for (;;) {
      const descriptor = openSync(this.#lockPath, 'a+', 0o644);
      const locked = lockFile(descriptor);
      // `models --prune` removes locks that nobody holds.
      if (locked === true && this.#isCurrent(descriptor)) return lockOf(descriptor);
      closeSync(descriptor);
      if (locked === undefined) throw new Error(`${dirname(this.path)} has no file locks (flock)`);
      if (performance.now() > end) throw new Error(`another process holds ${this.#lockPath}`);
      onWait();
      pause();
    }
  }

  #isCurrent(descriptor: number): boolean {
    return statSync(this.#lockPath, { throwIfNoEntry: false })?.ino === fstatSync(descriptor).ino;
  }

  /** Empties the folder, for a process that holds the lock. @throws Error if it cannot be written */
  begin(): void {
    this.remove();
    mkdirSync(this.path, { mode: 0o755 });
  }

  /**
   * Writes the manifest, after which other processes use the folder. @throws Error if it cannot be written
   */
  publish(manifest: WeightsManifest): void {
    const path = this.file('manifest');
    writeFileSync(`${path}.new`, JSON.stringify(manifest), { mode: 0o644, flush: true });
    renameSync(`${path}.new`, path);
  }

  /** Marks the key, so that no worker saves its weights again. Never throws. */
  markUnusable(manifest: WeightsManifest & { readonly unusable: string }): void {
    try {
      this.begin();
      this.publish(manifest);
    } catch {
      // Without the mark, the next worker saves the weights again and finds the same fault.
    }
  }

  /** Engines that have begun to open the weights; 0 after one of them has succeeded. */
  get attempts(): number {
    if (existsSync(this.file('proven'))) return 0;
    return statSync(this.file('attempts'), { throwIfNoEntry: false })?.size ?? 0;
  }

  /**
   * Notes that this engine opens the weights: an engine that ends while it does leaves the note. Never
   * throws.
   */
  noteAttempt(): void {
    if (!existsSync(this.file('proven'))) this.#write('attempts', '.');
  }

  /** Notes that the weights are right. Never throws. */
  prove(): void {
    if (!existsSync(this.file('proven'))) this.#write('proven', '');
  }

  #write(name: 'attempts' | 'proven', text: string): void {
    try {
      appendFileSync(this.file(name), text);
    } catch {
      // A read-only folder, or one that has been removed meanwhile.
    }
  }

  /** Removes the folder. Processes that map its files keep their pages. Never throws. */
  remove(): void {
    try {
      rmSync(this.path, { recursive: true, force: true });
    } catch {
      // A folder that cannot be removed cannot be written either.
    }
  }
}

/** Waits until the bytes of a file are on the disk: a page that is not is private memory of each process. */
export function flush(path: string): void {
  const file = openSync(path, 'r+');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
