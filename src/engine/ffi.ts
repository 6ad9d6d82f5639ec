/**
 * Calls native code and views native memory through koffi. Libraries stay loaded; a view does not copy. Knows
 * no particular library: ort/api.ts declares the calls of ONNX Runtime, devices/ the calls of drivers. Only
 * this file and ort/api.ts use koffi.
 */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import type koffiPackage from 'koffi';
import { messageOf } from '../protocol/text/error-message.ts';

type Koffi = typeof koffiPackage;

/** Processors in the name of musl's loader that differ from `process.arch`. */
const MUSL_NAMES: Readonly<Record<string, string>> = { x64: 'x86_64', ia32: 'i386', arm64: 'aarch64', arm: 'armhf' };

/** For ort/api.ts. */
export const koffi: Koffi = loadKoffi();
export const KOFFI_VERSION: string = koffi.version;

/** An address in native memory. Null is 0n. */
export type Pointer = bigint;

type Library = ReturnType<typeof koffi.load>;

/**
 * Never emptied: koffi unloads a library when its handle is garbage-collected, even if functions are in use.
 */
const LIBRARIES = new Map<string, Library>();

/**
 * Loads a library once, by its path or by a name that the dynamic loader looks up.
 * @throws Error with the path and the loader's message. The loader's message alone may lack the path.
 */
export function openLibrary(path: string): Library {
  try {
    const library = LIBRARIES.get(path) ?? koffi.load(path);
    LIBRARIES.set(path, library);
    return library;
  } catch (error) {
    throw new Error(`${path}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Loads koffi's native module. The package's own entry takes 10 ms and 0.8 MB: it looks for the C library
 * that Node.js uses, and wraps functions that are deprecated. It is loaded only where the file is not at the
 * place of a normal installation, or where a second C library (musl) makes the choice of the file unclear.
 */
function loadKoffi(): Koffi {
  const require = createRequire(import.meta.url);
  const { platform, arch } = process;
  if (platform !== 'linux' || !existsSync(`/lib/ld-musl-${MUSL_NAMES[arch] ?? arch}.so.1`)) {
    try {
      return require(`@koromix/koffi-${platform}-${arch}/${platform}_${arch}/koffi.node`) as Koffi;
    } catch {
      // The package's entry looks in more places, and reports the fault.
    }
  }
  return require('koffi') as Koffi;
}

/** A function declared with koffi's types. Buffers are passed by address; the function may write to them. */
export type NativeFunction = (...args: readonly (number | bigint | string | Uint8Array | null)[]) => number | bigint;

/**
 * Functions of a library by name.
 * @param declarations the koffi types of each function: its result, then its parameters.
 * @returns undefined if the library or one of the functions is missing.
 */
export function functionsOf<N extends string>(
  path: string,
  declarations: Readonly<Record<N, readonly [result: string, ...parameters: string[]]>>,
): Readonly<Record<N, NativeFunction>> | undefined {
  try {
    const library = openLibrary(path);
    const rows = Object.entries(declarations) as [N, readonly [string, ...string[]]][];
    const functions = rows.map(([name, [result, ...parameters]]) => [name, library.func(name, result, parameters)]);
    return Object.fromEntries(functions) as Record<N, NativeFunction>;
  } catch {
    return undefined; // no such driver on this machine, or an older one
  }
}

/**
 * Views native memory as a JavaScript buffer, without a copy. The view does not keep the memory alive: drop
 * the view before the memory is released.
 */
export function viewMemory(pointer: Pointer, bytes: number): ArrayBuffer {
  return koffi.view(pointer, bytes);
}

/** Copies native memory; the two parts may overlap (`memmove`). @param bytes number of bytes */
export function copyMemory(to: Pointer, from: Pointer, bytes: number): void {
  cFunction('memmove', 'void *', ['uintptr_t', 'uintptr_t', 'size_t'])(to, from, bytes);
}

/** Reads the zero-terminated UTF-8 text at an address. */
export function readText(pointer: Pointer): string {
  return koffi.decode.string(pointer);
}

/**
 * Sets a variable that native libraries of this process read. A value that the process has already stays.
 * Does nothing on Windows, whose libraries have an environment of their own.
 */
export function setDefaultVariable(name: string, value: string): void {
  if (process.platform === 'win32') return;
  koffi.load(null).func('setenv', 'int', ['str', 'str', 'int'])(name, value, 0);
}

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

/**
 * Asks the kernel to kill this process when its parent process ends for any reason, even during a native
 * call. On Linux only (`prctl(2)`: the signal follows the *thread* that forked, so fork from the main
 * thread). On other systems the engine ends between two steps, when the IPC channel closes.
 * @returns true if the kernel was asked.
 */
export function dieWithParent(): boolean {
  if (process.platform !== 'linux') return false;
  const prctl = koffi.load(null).func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']);
  return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) === 0;
}

const LOCK_EXCLUSIVE = 2;
const LOCK_NO_WAIT = 4;
/** Functions of the C library that were used, by name. */
const C_FUNCTIONS = new Map<string, NativeFunction>();

/** A function of the C library of this process. */
export function cFunction(name: string, result: string, parameters: readonly string[]): NativeFunction {
  const known = C_FUNCTIONS.get(name);
  if (known) return known;
  const library = koffi.load(process.platform === 'win32' ? 'msvcrt.dll' : null);
  const found: NativeFunction = library.func(name, result, [...parameters]);
  C_FUNCTIONS.set(name, found);
  return found;
}

/**
 * Locks an open file for this process (`flock(2)`), without waiting. The kernel releases the lock when the
 * descriptor is closed or the process ends for any reason.
 * @returns false if another process has the lock; undefined where files have no locks: on systems other than
 * Linux, and on some network file systems.
 */
export function lockFile(descriptor: number): boolean | undefined {
  if (process.platform !== 'linux') return undefined;
  const flock = cFunction('flock', 'int', ['int', 'int']);
  if (flock(descriptor, LOCK_EXCLUSIVE + LOCK_NO_WAIT) === 0) return true;
  return koffi.errno() === constants.errno.EAGAIN ? false : undefined;
}
