/**
 * ONNX Runtime's C API, called through koffi. Uses the library in onnxruntime-node, but not its JavaScript
 * class, which copies every output and cannot keep tensors in device memory. Knows calls and statuses only.
 *
 * `OrtGetApiBase()->GetApi(18)` is a table of function pointers. Its order is part of the stable ABI, so an
 * index identifies a call.
 */
import { koffi, openLibrary, type Pointer, setDefaultVariable } from '../ffi.ts';
import {
  CALLS,
  type Calls,
  type Declaration,
  NEWER_CALLS,
  type NewerCall,
  type Parameters,
  RELEASES,
  type Releases,
  type Results,
  type Signature,
} from './api-calls.ts';

/** A failed call of the runtime. */
export class OrtError extends Error {
  /**
   * `OrtErrorCode`: 1 fail, 2 invalid argument, 3 no such file, 6 runtime exception, 7 invalid protobuf, 9
   * not implemented, …
   */
  readonly code: number;
  /** Name of the call in the C API. */
  readonly call: string;

  constructor(call: string, code: number, message: string) {
    super(message);
    this.name = 'OrtError';
    this.call = call;
    this.code = code;
  }
}

const API_VERSION = 18;
const POINTER_BYTES = koffi.sizeof('void *');
const PATH = process.platform === 'win32' ? 'str16' : 'str';

type KoffiType = string | ReturnType<typeof koffi.out>;

const PARAMETER_TYPES: Readonly<Record<keyof Parameters, KoffiType>> = {
  int: 'int',
  size: 'size_t',
  text: 'str',
  path: PATH,
  pointer: 'void *',
  bytes: 'const uint8_t *',
  int64s: 'const int64_t *',
  int64sOut: koffi.out('int64_t *'),
  texts: 'const str *',
  addresses: 'const uint64_t *',
};

const RESULT_TYPES: Readonly<Record<Exclude<keyof Results, 'nothing' | 'pointers'>, string>> = {
  pointer: 'void *',
  int: 'int',
  size: 'size_t',
};

const GET_ERROR_CODE = 1;
const GET_ERROR_MESSAGE = 2;

/** The runtime's calls, typed. Each throws `OrtError` with the runtime's message and code. */
export interface OrtApi extends Calls, Releases {
  /** The version that the library reports, such as `1.30.0`. */
  readonly version: string;
  /** True if the library is new enough for this call; otherwise the call throws an error that says so. */
  readonly offers: (call: NewerCall) => boolean;
}

/**
 * The runtime stores each use in a database below the home directory, and sends it to its maker, unless this
 * variable is set. It is read while the environment (`createEnv`) is created.
 */
const NO_TELEMETRY = 'ORT_DISABLE_TELEMETRY';

type NativeCall = (...args: unknown[]) => unknown;

/**
 * Loads libonnxruntime. A call is declared when it is first made: the CPU needs two thirds of the calls. The
 * runtime reports nothing to its maker, unless the environment of this process says otherwise.
 * @throws Error with the dynamic loader's message if the file is missing or is not a library; Error if the
 * library is too old for version 18 of the C API.
 */
export function loadOrt(path: string): OrtApi {
  setDefaultVariable(NO_TELEMETRY, '1');
  const base = openLibrary(path).func('OrtGetApiBase', 'void *', [])() as Pointer;
  const getApi = koffi.decode(koffi.decode(base, 'void *'), koffi.proto('void *', ['uint32_t']));
  const getVersion = koffi.decode(koffi.decode(base, POINTER_BYTES, 'void *'), koffi.proto('str', []));
  const version = getVersion() as string;
  /** The table of a version. Asking for one that is too new writes a line to stderr. */
  const tableOf = (number: number): Pointer | null => getApi(number) as Pointer | null;
  const entryOf = (number: number): Entry => {
    const table = tableOf(number);
    if (!table) throw new Error(`ONNX Runtime ${version} does not offer version ${number} of its C API`);
    return (index, result, parameters) =>
      koffi.decode(koffi.decode(table, index * POINTER_BYTES, 'void *'), koffi.proto(result, parameters));
  };

  const entry = entryOf(API_VERSION);
  const offers = (name: NewerCall): boolean => tableOf(NEWER_CALLS[name].version) !== null;
  const api: Record<string, unknown> = { version, offers };
  for (const [name, index] of Object.entries(RELEASES))
    declareAtFirstCall(api, name, () => entry(index, 'void', ['void *']));
  const errors = {
    code: entry(GET_ERROR_CODE, 'int', ['void *']),
    message: entry(GET_ERROR_MESSAGE, 'str', ['void *']),
  };
  /** Throws the error of a status, if there is one, and releases the status. */
  const check = (name: string, status: unknown): void => {
    if (!status) return;
    const error = new OrtError(name, errors.code(status) as number, errors.message(status) as string);
    (api as unknown as Releases).releaseStatus(status as Pointer);
    throw error;
  };
  for (const [name, declaration] of Object.entries(CALLS))
    declareAtFirstCall(api, name, () => bind(name, declaration, entry, check));
  for (const [name, declaration] of Object.entries(NEWER_CALLS))
    declareAtFirstCall(api, name, () => bind(name, declaration, entryOf(declaration.version), check));
  return api as unknown as OrtApi;
}

/** Declares the function at an index of the table. */
type Entry = (index: number, result: string, parameters: KoffiType[]) => NativeCall;

/**
 * Adds a function to `calls` that declares the native function at its first call, and then replaces itself.
 */
function declareAtFirstCall(calls: Record<string, unknown>, name: string, declare: () => NativeCall): void {
  let declared: NativeCall | undefined;
  // A caller may keep this function, so it must work more than once.
  calls[name] = (...args: unknown[]): unknown => {
    declared ??= declare();
    calls[name] = declared;
    return declared(...args);
  };
}

/** A function that makes one call, throws the error of its status, and returns its out parameter. */
function bind(
  name: string,
  { index, parameters, result }: Declaration<Signature, keyof Results>,
  entry: Entry,
  check: (name: string, status: unknown) => void,
): NativeCall {
  const types: KoffiType[] = parameters.map((kind) => PARAMETER_TYPES[kind]);
  if (result === 'nothing') {
    const native = entry(index, 'void *', types);
    return (...args) => check(name, native(...args));
  }
  if (result === 'pointers') {
    const outs = ['void *', 'size_t'].map((type) => koffi.out(koffi.pointer(type)));
    const native = entry(index, 'void *', [...types, ...outs]);
    /** Frees memory that an allocator of the runtime allocated. */
    const free = entry(CALLS.allocatorFree.index, 'void *', ['void *', 'void *']);
    return (...args): Pointer[] => {
      const [array, length] = [[null] as [Pointer | null], [0] as [number]];
      check(name, native(...args, array, length));
      if (!array[0]) return [];
      const pointers = koffi.decode(array[0], koffi.array('void *', Number(length[0]))) as Pointer[];
      free(args[1], array[0]);
      return pointers;
    };
  }
  const native = entry(index, 'void *', [...types, koffi.out(koffi.pointer(RESULT_TYPES[result]))]);
  return (...args) => {
    const out: unknown[] = [null];
    check(name, native(...args, out));
    return out[0];
  };
}
