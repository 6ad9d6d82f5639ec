/**
 * ONNX Runtime's C API, called through koffi: the library behind onnxruntime-node without its class, which copies every output and holds
 * no device memory. The only file that speaks to native code. It knows calls and statuses, nothing of models, caches or tokens.
 *
 * `OrtGetApiBase()->GetApi(18)` is a table of function pointers whose order is frozen by ABI promise: a call is its index in it.
 */
import koffi from 'koffi';

/** An address in native memory. Null is 0n. */
export type Pointer = bigint;

/** Element types of a tensor, as the C API numbers them (`ONNXTensorElementDataType`). */
export const ELEMENT_TYPES: Readonly<Record<number, string>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  16: 'bfloat16',
};
export const FLOAT32 = 1;
export const INT64 = 7;

/** A call that the runtime answered with a status other than success. */
export class OrtError extends Error {
  /** `OrtErrorCode`: 1 fail, 2 invalid argument, 3 no such file, 6 runtime exception, 7 invalid protobuf, 9 not implemented, … */
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

/** Kinds of parameters: what TypeScript passes, and how koffi declares it. */
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

/** What comes back: nothing, or the one out parameter that ends the list. */
interface Results {
  nothing: undefined;
  pointer: Pointer;
  int: number;
  size: number;
}
const RESULT_TYPES: Readonly<Record<Exclude<keyof Results, 'nothing'>, string>> = {
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

/** Calls that answer with a status: index in the table, parameters, out parameter. */
const CALLS = {
  createEnv: call(3, ['int', 'text'], 'pointer'),
  createSession: call(7, ['pointer', 'path', 'pointer'], 'pointer'),
  createSessionFromArray: call(8, ['pointer', 'bytes', 'size', 'pointer'], 'pointer'),
  createSessionOptions: call(10, [], 'pointer'),
  disableMemPattern: call(17, ['pointer']),
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
  createCpuMemoryInfo: call(69, ['int', 'int'], 'pointer'),
  allocatorFree: call(76, ['pointer', 'pointer']),
  getAllocatorWithDefaultOptions: call(78, [], 'pointer'),
  addSessionConfigEntry: call(130, ['pointer', 'text', 'text']),
  runWithBinding: call(133, ['pointer', 'pointer', 'pointer']),
  createIoBinding: call(134, ['pointer'], 'pointer'),
  bindInput: call(136, ['pointer', 'text', 'pointer']),
  bindOutput: call(137, ['pointer', 'text', 'pointer']),
};

/** Calls that release what another made; they answer nothing. */
const RELEASES = {
  releaseEnv: 92,
  releaseStatus: 93,
  releaseMemoryInfo: 94,
  releaseSession: 95,
  releaseValue: 96,
  releaseRunOptions: 97,
  releaseTypeInfo: 98,
  releaseSessionOptions: 100,
  releaseIoBinding: 135,
} as const;

const GET_ERROR_CODE = 1;
const GET_ERROR_MESSAGE = 2;

type Calls = { readonly [K in keyof typeof CALLS]: Call<(typeof CALLS)[K]> };
type Releases = { readonly [K in keyof typeof RELEASES]: (pointer: Pointer) => void };

/** The runtime's calls, typed. Each throws `OrtError` with the runtime's own message and code. */
export interface OrtApi extends Calls, Releases {
  /** As the library says itself, such as `1.30.0`. */
  readonly version: string;
}

/**
 * Loads libonnxruntime.
 * @throws Error with the dynamic loader's message when the file is missing or no library, or when it is too old for the table used here.
 */
export function loadOrt(path: string): OrtApi {
  const base = openLibrary(path).func('OrtGetApiBase', 'void *', [])() as Pointer;
  const getApi = koffi.decode(koffi.decode(base, 'void *'), koffi.proto('void *', ['uint32_t']));
  const getVersion = koffi.decode(koffi.decode(base, POINTER_BYTES, 'void *'), koffi.proto('str', []));
  const version = getVersion() as string;
  const table = getApi(API_VERSION) as Pointer | null;
  if (!table) throw new Error(`ONNX Runtime ${version} does not offer version ${API_VERSION} of its C API`);

  const entry = (index: number, result: string, parameters: KoffiType[]) =>
    koffi.decode(koffi.decode(table, index * POINTER_BYTES, 'void *'), koffi.proto(result, parameters));
  const releases = Object.fromEntries(
    Object.entries(RELEASES).map(([name, index]) => [name, entry(index, 'void', ['void *'])]),
  ) as unknown as Releases;
  const getErrorCode = entry(GET_ERROR_CODE, 'int', ['void *']);
  const getErrorMessage = entry(GET_ERROR_MESSAGE, 'str', ['void *']);

  /** Throws what a status says, after releasing it. */
  const check = (name: string, status: Pointer | null): void => {
    if (!status) return;
    const error = new OrtError(name, getErrorCode(status) as number, getErrorMessage(status) as string);
    releases.releaseStatus(status);
    throw error;
  };
  const bind = (name: string, { index, parameters, result }: Declaration<Signature, keyof Results>) => {
    const types: KoffiType[] = parameters.map((kind) => PARAMETER_TYPES[kind]);
    if (result === 'nothing') {
      const native = entry(index, 'void *', types);
      return (...args: unknown[]): void => check(name, native(...args));
    }
    const native = entry(index, 'void *', [...types, koffi.out(koffi.pointer(RESULT_TYPES[result]))]);
    return (...args: unknown[]): unknown => {
      const out: unknown[] = [null];
      check(name, native(...args, out));
      return out[0];
    };
  };
  const calls = Object.fromEntries(Object.entries(CALLS).map(([name, declaration]) => [name, bind(name, declaration)]));
  return { version, ...(calls as unknown as Calls), ...releases };
}

/** For the life of the process: koffi unloads a library whose handle is collected, under the feet of functions taken from its table. */
const LIBRARIES = new Map<string, ReturnType<typeof koffi.load>>();

/** The loader's own message leaves the path out. */
function openLibrary(path: string): ReturnType<typeof koffi.load> {
  try {
    const library = LIBRARIES.get(path) ?? koffi.load(path);
    LIBRARIES.set(path, library);
    return library;
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
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
