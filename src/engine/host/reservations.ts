/**
 * The memory that engine processes of this user have planned: one file for each process, in a folder that
 * only this user can open. A process holds a lock on its file while it lives, so that the file of a killed
 * process counts for nothing. Knows no models and no plans.
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../protocol/text/error-message.ts';
import { lockFile } from '../ffi.ts';

/**
 * Maximum time to wait for the lock of the folder, in milliseconds. A process holds it for some 7 ms of a
 * processor, so that fifty processes take turns within this time. Only a stopped process holds it longer.
 */
export const MAX_LOCK_MS = 10_000;
const LOCK_RETRY_MS = 5;
/** A file with more bytes is not a reservation. */
export const MAX_RESERVATION_BYTES = 64 * 1024;
const LOCK_NAME = 'lock';
const SUFFIX = '.json';
/** Permissions of the group and of others. */
const SHARED_MODE = 0o077;

/** The memory that one process has planned. Sizes in bytes. */
export interface Reservation {
  /** Identifies the machine since its start: machines can share a folder of the network. */
  readonly machine: string;
  readonly pid: number;
  /** The pid namespace, in which `pid` is valid. */
  readonly namespace: string;
  /** The memory: `host`, or the id of a GPU. */
  readonly memory: string;
  /** Identifies the weight files: processes with the same files share their pages in host memory. */
  readonly weightsId: string;
  readonly weights: number;
  /** Memory besides the weights. */
  readonly rest: number;
  /** Anonymous memory of the process before it loaded the model. */
  readonly before: number;
  /** Ids of the control groups that limit the process. */
  readonly groups: readonly string[];
}

/** The memory could not be reserved. The message is for the operator. */
export class ReservationError extends Error {
  override readonly name = 'ReservationError';
}

/** The reservations in one folder, and the one of this process. */
export class Reservations {
  readonly #folder: string;
  readonly #maxLockMs: number;
  /** The open, locked file of this process. */
  #own: { readonly path: string; readonly descriptor: number } | undefined;
  readonly #release = (): void => this.release();

  /**
   * Opens the folder, and makes it if it is missing.
   * @param maxLockMs maximum wait for the lock of the folder
   * @throws ReservationError if the folder belongs to another user, or cannot be used.
   */
  constructor(folder: string, maxLockMs = MAX_LOCK_MS) {
    this.#folder = folder;
    this.#maxLockMs = maxLockMs;
    try {
      // Not `recursive`: Node.js 20 and 22 then never return for a folder below /proc.
      if (!lstatSync(folder, { throwIfNoEntry: false })) makeFolder(folder);
      const found = lstatSync(folder);
      if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & SHARED_MODE) !== 0)
        throw new Error(`${folder} is not a folder of this user alone`);
    } catch (error) {
      throw new ReservationError(messageOf(error), { cause: error });
    }
  }

  /**
   * Runs `action` while no other process reads or changes reservations.
   * @throws ReservationError if the lock is not available in time; and the error of `action`.
   */
  exclusively<T>(action: () => T): T {
    const lock = this.#open(LOCK_NAME);
    try {
      const end = performance.now() + this.#maxLockMs;
      for (;;) {
        const locked = lockFile(lock);
        if (locked === true) return action();
        if (locked === undefined) throw new ReservationError(`${this.#folder} has no locks (flock)`);
        if (performance.now() > end) throw new ReservationError(`another process holds ${this.#folder}/${LOCK_NAME}`);
        // The engine has nothing else to do before the model is open.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_RETRY_MS);
      }
    } finally {
      closeSync(lock);
    }
  }

  /** The reservations of other living processes. Removes the files of dead ones. */
  others(): Reservation[] {
    return this.#names().flatMap((name) => this.#read(name) ?? []);
  }

  /** Reserves memory until this process ends, or until `release`. @throws ReservationError. */
  publish(reservation: Reservation): void {
    this.release();
    // A pid and a time alone are not unique: a process can reserve twice within a millisecond.
    const name = `${process.pid}-${randomUUID()}${SUFFIX}`;
    const descriptor = this.#open(name);
    this.#own = { path: join(this.#folder, name), descriptor };
    process.once('exit', this.#release);
    try {
      if (lockFile(descriptor) !== true) throw new Error(`${name} is locked`);
      ftruncateSync(descriptor);
      writeSync(descriptor, JSON.stringify(reservation));
    } catch (error) {
      this.release();
      throw new ReservationError(messageOf(error), { cause: error });
    }
  }

  /** Removes the reservation of this process, if there is one. Never throws. */
  release(): void {
    const own = this.#own;
    if (!own) return;
    this.#own = undefined;
    process.off('exit', this.#release);
    attempt(() => unlinkSync(own.path));
    attempt(() => closeSync(own.descriptor));
  }

  #names(): string[] {
    try {
      return readdirSync(this.#folder).filter((name) => name.endsWith(SUFFIX));
    } catch (error) {
      throw new ReservationError(messageOf(error), { cause: error });
    }
  }

  /** The reservation in a file; undefined for the own file, for a dead process, and for a broken file. */
  #read(name: string): Reservation | undefined {
    const path = join(this.#folder, name);
    if (path === this.#own?.path) return undefined;
    const descriptor = attempt(() => openSync(path, 'r'));
    if (descriptor === undefined) return undefined;
    try {
      if (lockFile(descriptor) !== true)
        return fstatSync(descriptor).size > MAX_RESERVATION_BYTES
          ? undefined
          : attempt(() => reservationIn(readFileSync(descriptor, 'utf8')));
      attempt(() => unlinkSync(path)); // its process has ended
      return undefined;
    } finally {
      closeSync(descriptor);
    }
  }

  /** Opens a file for reading and writing, and makes it if it is missing. */
  #open(name: string): number {
    try {
      return openSync(join(this.#folder, name), 'a+', 0o600);
    } catch (error) {
      throw new ReservationError(messageOf(error), { cause: error });
    }
  }
}

/** @throws Error if the folder cannot be made; not if another process makes it at the same time. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** @throws Error for a text that is not a reservation. */
function reservationIn(text: string): Reservation {
  const found = JSON.parse(text) as Reservation;
  const { machine, pid, namespace, memory, weightsId, weights, rest, before, groups } = found;
  const sizes = [pid, weights, rest, before];
  const texts = [machine, namespace, memory, weightsId, ...groups];
  if (!sizes.every((size) => Number.isSafeInteger(size) && size >= 0)) throw new Error('a size is wrong');
  if (!texts.every((text) => typeof text === 'string')) throw new Error('a text is wrong');
  return found;
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
