/**
 * Native code and native memory, through koffi: libraries that stay loaded, functions of theirs by name, views of memory without a copy.
 * Knows no library in particular: ONNX Runtime's calls are in ort/api.ts, a driver's in gpu/. With ort/api.ts the only importer of koffi.
 */
import koffi from 'koffi';

export const KOFFI_VERSION: string = koffi.version;

/** An address in native memory. Null is 0n. */
export type Pointer = bigint;

type Library = ReturnType<typeof koffi.load>;

/** For the life of the process: koffi unloads a library whose handle is collected, under the feet of functions taken from its table. */
const LIBRARIES = new Map<string, Library>();

/**
 * Loads a library by path, or by a name that the dynamic loader looks up.
 * @throws Error with the loader's message, which leaves the path out, behind the path.
 */
export function openLibrary(path: string): Library {
  try {
    const library = LIBRARIES.get(path) ?? koffi.load(path);
    LIBRARIES.set(path, library);
    return library;
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** A function that takes and gives what koffi's types say; buffers are passed as their address and may be written. */
export type NativeFunction = (...args: readonly (number | bigint | string | Uint8Array | null)[]) => number | bigint;

/**
 * Functions of a library by name, each with its result and its parameters.
 * @returns undefined when the library or one of the functions is not there.
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
 * Native memory as a JavaScript buffer, without a copy. It does not keep the memory alive: drop the view before the memory is released.
 */
export function viewMemory(pointer: Pointer, bytes: number): ArrayBuffer {
  return koffi.view(pointer, bytes);
}

/** Text at an address, up to its zero byte, as UTF-8. */
export function readText(pointer: Pointer): string {
  return koffi.decode.string(pointer);
}

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

/**
 * Asks the kernel to kill this process when the one that forked it is gone, whatever ended it and even in the middle of a native call.
 * On Linux only (`prctl(2)`: the signal follows the *thread* that forked, so fork from the main thread); elsewhere the closing of the IPC
 * channel ends the engine between two steps.
 * @returns whether the kernel was asked.
 */
export function dieWithParent(): boolean {
  if (process.platform !== 'linux') return false;
  const prctl = koffi.load(null).func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']);
  return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) === 0;
}
