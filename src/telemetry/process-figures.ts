/**
 * Figures of this process from the operating system. A figure is undefined if it cannot be read: the process
 * has no free file descriptor, /proc is not mounted, or the system has no such figure.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { residentBytes } from '../protocol/host/process-memory.ts';

/** Reads files of the system, or throws; replaced by tests. */
export interface SystemFiles {
  readonly text: (path: string) => string;
  readonly names: (folder: string) => readonly string[];
  readonly resident: () => number;
}

const FILES: SystemFiles = {
  text: (path) => readFileSync(path, 'utf8'),
  names: (folder) => readdirSync(folder),
  resident: process.memoryUsage.rss,
};

export class ProcessFigures {
  readonly #files: SystemFiles;

  constructor(files: SystemFiles = FILES) {
    this.#files = files;
  }

  /** Resident memory in bytes. */
  get residentBytes(): number | undefined {
    return residentBytes(this.#files.resident);
  }

  /** Size of the address space in bytes. */
  get virtualBytes(): number | undefined {
    return this.#statusBytes('VmSize');
  }

  /** Size of the data segment in bytes. */
  get dataBytes(): number | undefined {
    return this.#statusBytes('VmData');
  }

  /** Number of open file descriptors, without the one that this call opens. */
  get openFiles(): number | undefined {
    const names = attempt(() => this.#files.names('/proc/self/fd'));
    return names && names.length - 1;
  }

  /** Maximum number of open file descriptors; undefined without a limit too. */
  get openFilesLimit(): number | undefined {
    return numberIn(/^Max open files\s+(\d+)/m, () => this.#files.text('/proc/self/limits'));
  }

  #statusBytes(field: string): number | undefined {
    const kilobytes = numberIn(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm'), () =>
      this.#files.text('/proc/self/status'),
    );
    return kilobytes === undefined ? undefined : kilobytes * 1024;
  }
}

function numberIn(pattern: RegExp, read: () => string): number | undefined {
  const digits = pattern.exec(attempt(read) ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
