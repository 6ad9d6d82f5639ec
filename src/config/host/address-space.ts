/**
 * The limit of the address space of this process (`ulimit -v`, RLIMIT_AS). V8 reserves about 10 GiB of
 * addresses around each memory of WebAssembly, to find accesses beyond its end without checks. An option of
 * Node.js replaces these guard pages by checks: the results stay the same.
 */
import { readFileSync } from 'node:fs';
import { addressSpaceLimitIn } from '../../protocol/address-space.ts';
import { ConfigError } from '../config.ts';

/**
 * The least limit with which a worker serves. With the embedded model, the worker process has 2.4 GiB of
 * addresses while its three threads run, and the engine process 1.1 GiB. Below, Node.js ends the process when
 * it starts the thread for a long prompt.
 */
export const MIN_ADDRESS_SPACE = 3 * 2 ** 30;

/** Only the member that this file uses: TypeScript's es2023 and @types/node 20 do not declare WebAssembly. */
declare const WebAssembly: { readonly Memory: new (size: { readonly initial: number }) => unknown };

/** In Node.js since 20.15 and 22.2. */
const WITHOUT_GUARD_PAGES = '--disable-wasm-trap-handler';

/** The limit in bytes; undefined if there is none, and on systems without /proc. */
export function addressSpaceLimit(read: () => string = readLimits): number | undefined {
  return addressSpaceLimitIn(read());
}

/**
 * Options of Node.js for a process that this one starts and that uses WebAssembly. Empty if the address space
 * is not limited, or if this version of Node.js has no such option.
 */
export function wasmOptions(limit: number | undefined = addressSpaceLimit()): string[] {
  return limit === undefined || !process.allowedNodeEnvironmentFlags.has(WITHOUT_GUARD_PAGES)
    ? []
    : [WITHOUT_GUARD_PAGES];
}

/** True if this process was started with the options of `wasmOptions`. */
export function hasWasmOptions(
  options: readonly string[] = process.execArgv,
  { NODE_OPTIONS = '' }: NodeJS.ProcessEnv = process.env,
): boolean {
  return [...options, ...NODE_OPTIONS.split(/\s+/)].includes(WITHOUT_GUARD_PAGES);
}

/** @throws ConfigError if the address space is too small for a worker. */
export function checkAddressSpace(limit: number | undefined = addressSpaceLimit()): void {
  if (limit === undefined || limit >= MIN_ADDRESS_SPACE) return;
  throw new ConfigError(
    `ulimit -v: the address space is limited to ${Math.floor(limit / 1024)} KiB; a worker needs at least ${MIN_ADDRESS_SPACE / 1024} KiB, and the size of its model in addition; raise the limit: ulimit -v unlimited`,
  );
}

/**
 * Checks that this process can reserve the memory of WebAssembly that the HTTP client for a proxy needs: the
 * client would end the worker without it.
 * @param variable the variable that names the proxy
 * @param reserve reserves such a memory, or throws; replaced by tests
 * @throws ConfigError if the limit of the address space is too small for guard pages
 */
export function checkProxyClient(
  variable: string,
  limit: number | undefined = addressSpaceLimit(),
  reserve: () => unknown = () => new WebAssembly.Memory({ initial: 1 }),
): void {
  if (limit === undefined) return;
  try {
    reserve();
  } catch {
    throw new ConfigError(
      `${variable}: set NODE_OPTIONS=${WITHOUT_GUARD_PAGES} to use this proxy while the address space is limited (ulimit -v ${Math.floor(limit / 1024)}); or raise the limit, or add the host of --callback-url to NO_PROXY`,
    );
  }
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return '';
  }
}
