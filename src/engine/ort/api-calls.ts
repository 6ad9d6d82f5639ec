/**
 * The calls of ONNX Runtime's C API that the engine makes: index in the table of functions, parameters and
 * result. Plain data; `api.ts` declares the native functions.
 */
import type { Pointer } from '../ffi.ts';

/** Kinds of parameters with their TypeScript types; `PARAMETER_TYPES` of api.ts has their koffi types. */
export interface Parameters {
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
  /** An array of pointers, which no call keeps. */
  addresses: BigUint64Array;
}

/** Kinds of results: nothing, or the out parameter at the end of the parameter list. */
export interface Results {
  nothing: undefined;
  pointer: Pointer;
  /** The content of an array that the runtime allocated; the array is freed. */
  pointers: readonly Pointer[];
  int: number;
  size: number;
}

export type Signature = readonly (keyof Parameters)[];
export interface Declaration<P extends Signature, R extends keyof Results> {
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
export const CALLS = {
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
  /**
   * Run options, key, value. `gpu_graph_id`: the number of the recorded run; -1 records and replays nothing.
   */
  addRunConfigEntry: call(165, ['pointer', 'text', 'text']),
  appendCudaProvider: call(204, ['pointer', 'pointer']),
  createCudaOptions: call(205, [], 'pointer'),
  updateCudaOptions: call(206, ['pointer', 'texts', 'texts', 'size']),
  appendProvider: call(216, ['pointer', 'text', 'texts', 'texts', 'size']),
};

/** A call that newer versions of the C API have: `version` is the lowest one. */
const since = <const D>(version: number, declaration: D): D & { readonly version: number } => ({
  ...declaration,
  version,
});

/** Calls that a library may lack: `offers` of the API reports it. They return a status too. */
export const NEWER_CALLS = {
  /**
   * Copies tensors: environment, sources, destinations, stream (0n: none), number. Returns when the sources
   * can be changed and the destinations of the host can be read. The caller compares types and sizes.
   */
  copyTensors: since(23, call(386, ['pointer', 'addresses', 'addresses', 'pointer', 'size'])),
  /** Session, `gpu_graph_id`. Releases the recorded run; does nothing if there is none. */
  releaseCapturedGraph: since(27, call(421, ['pointer', 'int'])),
};

export type NewerCall = keyof typeof NEWER_CALLS;

/** Calls that release an object; they return nothing. */
export const RELEASES = {
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

export type Calls = { readonly [K in keyof typeof CALLS]: Call<(typeof CALLS)[K]> } & {
  readonly [K in NewerCall]: Call<(typeof NEWER_CALLS)[K]>;
};
export type Releases = { readonly [K in keyof typeof RELEASES]: (pointer: Pointer) => void };
