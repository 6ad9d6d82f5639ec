/**
 * ONNX Runtime's C API, called through koffi. Uses the library in onnxruntime-node, but not its JavaScript
 * class, which copies every output and cannot keep tensors in device memory. Knows calls and statuses only.
 *
 * `OrtGetApiBase()->GetApi(18)` is a table of function pointers. Its order is part of the stable ABI, so an
 * index identifies a call.
 */
import { koffi, openLibrary, type Pointer, setDefaultVariable } from '../ffi.ts';

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

/** Kinds of parameters with their TypeScript types; `PARAMETER_TYPES` has their koffi types. */
interface Parameters {
  int: number;
  size: number;
  text: string;
  path: string;
  pointer: Pointer;
  bytes: Uint8Array;
  int64s: BigInt64Array;
  /** Filled by the call. */
  int64sOut: BigInt64Array;
  texts: readonly string[];
}
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
};

/** Kinds of results: nothing, or the out parameter at the end of the parameter list. */
interface Results {
  nothing: undefined;
  pointer: Pointer;
  /** The content of an array that the runtime allocated; the array is freed. */
  pointers: readonly Pointer[];
  int: number;
  size: number;
}
const RESULT_TYPES: Readonly<Record<Exclude<keyof Results, 'nothing' | 'pointers'>, string>> = {
  pointer: 'void *',
  int: 'int',
  size: 'size_t',
};

type Signature = readonly (keyof Parameters)[];
interface Declaration<P extends Signature, R extends keyof Results> {
  readonly index: number;
  readonly parameters: P;
  readonly result: R;
}
type Call<D> =
  D extends Declaration<infer P, infer R> ? (...args: { [I in keyof P]: Parameters[P[I]] }) => Results[R] : never;

const call = <const P extends Signature, R extends keyof Results = 'nothing'>(
  index: number,
  parameters: P,
  result?: R,
): Declaration<P, R> => ({ index, parameters, result: result ?? ('nothing' as R) });

/** Calls that return a status: index in the table, parameters, out parameter. */
const CALLS = {
  createEnv: call(3, ['int', 'text'], 'pointer'),
  createSession: call(7, ['pointer', 'path', 'pointer'], 'pointer'),
  createSessionFromArray: call(8, ['pointer', 'bytes', 'size', 'pointer'], 'pointer'),
  createSessionOptions: call(10, [], 'pointer'),
  /** Writes the optimized graph to a file when the session is created. */
  setOptimizedModelFilePath: call(11, ['pointer', 'path']),
  /** For tests: writes a profile of all runs to a file with this prefix when the session is released. */
  enableProfiling: call(14, ['pointer', 'path']),
  disableMemPattern: call(17, ['pointer']),
  /** 0: no optimization, 99: all. */
  setGraphOptimizationLevel: call(23, ['pointer', 'int']),
  setIntraOpNumThreads: call(24, ['pointer', 'int']),
  sessionGetInputCount: call(30, ['pointer'], 'size'),
  sessionGetOutputCount: call(31, ['pointer'], 'size'),
  sessionGetInputTypeInfo: call(33, ['pointer', 'size'], 'pointer'),
  sessionGetOutputTypeInfo: call(34, ['pointer', 'size'], 'pointer'),
  sessionGetInputName: call(36, ['pointer', 'size', 'pointer'], 'pointer'),
  sessionGetOutputName: call(37, ['pointer', 'size', 'pointer'], 'pointer'),
  createRunOptions: call(39, [], 'pointer'),
  createTensor: call(48, ['pointer', 'int64s', 'size', 'int'], 'pointer'),
  createTensorWithData: call(49, ['pointer', 'pointer', 'size', 'int64s', 'size', 'int'], 'pointer'),
  getTensorMutableData: call(51, ['pointer'], 'pointer'),
  castTypeInfoToTensorInfo: call(55, ['pointer'], 'pointer'),
  getTensorElementType: call(60, ['pointer'], 'int'),
  getDimensionsCount: call(61, ['pointer'], 'size'),
  getDimensions: call(62, ['pointer', 'int64sOut', 'size']),
  createMemoryInfo: call(68, ['text', 'int', 'int', 'int'], 'pointer'),
  createCpuMemoryInfo: call(69, ['int', 'int'], 'pointer'),
  allocatorFree: call(76, ['pointer', 'pointer']),
  getAllocatorWithDefaultOptions: call(78, [], 'pointer'),
  addSessionConfigEntry: call(130, ['pointer', 'text', 'text']),
  createAllocator: call(131, ['pointer', 'pointer'], 'pointer'),
  runWithBinding: call(133, ['pointer', 'pointer', 'pointer']),
  createIoBinding: call(134, ['pointer'], 'pointer'),
  bindInput: call(136, ['pointer', 'text', 'pointer']),
  bindOutput: call(137, ['pointer', 'text', 'pointer']),
  bindOutputToDevice: call(138, ['pointer', 'text', 'pointer']),
  /**
   * Values in the order of the bound outputs. The caller must release them. Second argument: the default
   * allocator.
   */
  getBoundOutputValues: call(140, ['pointer', 'pointer'], 'pointers'),
  appendCudaProvider: call(204, ['pointer', 'pointer']),
  createCudaOptions: call(205, [], 'pointer'),
  updateCudaOptions: call(206, ['pointer', 'texts', 'texts', 'size']),
  appendProvider: call(216, ['pointer', 'text', 'texts', 'texts', 'size']),
};

/** Calls that release an object; they return nothing. */
const RELEASES = {
  releaseEnv: 92,
  releaseStatus: 93,
  releaseMemoryInfo: 94,
  releaseSession: 95,
  releaseValue: 96,
  releaseRunOptions: 97,
  releaseTypeInfo: 98,
  releaseSessionOptions: 100,
  releaseAllocator: 132,
  releaseIoBinding: 135,
  releaseCudaOptions: 208,
} as const;

const GET_ERROR_CODE = 1;
const GET_ERROR_MESSAGE = 2;

type Calls = { readonly [K in keyof typeof CALLS]: Call<(typeof CALLS)[K]> };
type Releases = { readonly [K in keyof typeof RELEASES]: (pointer: Pointer) => void };

/** The runtime's calls, typed. Each throws `OrtError` with the runtime's message and code. */
export interface OrtApi extends Calls, Releases {
  /** The version that the library reports, such as `1.30.0`. */
  readonly version: string;
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
  const table = getApi(API_VERSION) as Pointer | null;
  if (!table) throw new Error(`ONNX Runtime ${version} does not offer version ${API_VERSION} of its C API`);

  const entry: Entry = (index, result, parameters) =>
    koffi.decode(koffi.decode(table, index * POINTER_BYTES, 'void *'), koffi.proto(result, parameters));
  const api: Record<string, unknown> = { version };
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
