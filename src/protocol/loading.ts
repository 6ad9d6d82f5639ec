/**
 * The data that the two processes exchange while a model is opened: the devices and files to try, the
 * progress, and the facts about the open model. Types only.
 */
import type { ConversionProgress, Exactness } from './decoder/conversion.ts';
import type { DecoderSpec } from './decoder/decoder-spec.ts';
import type { WeightsProgress } from './decoder/sharing.ts';
import type { DeviceName } from './devices.ts';
import type { SourceFile } from './host/weights-cache.ts';
import type { MemoryPlan } from './memory-plan.ts';
import type { GpuGraphLimit, Reason } from './reasons.ts';
import type { ThreadCount } from './threads.ts';

/**
 * Names of a model's inputs and outputs, as given by its configuration (`genai_config.json`); `%d` stands for
 * the layer. For an absent name, the engine tries the two usual styles: `past_key_values.0.key` and
 * `present.0.key`, `past_key_0` and `present_key_0`.
 */
export interface TensorNames {
  readonly inputIds?: string;
  readonly attentionMask?: string;
  readonly positionIds?: string;
  readonly pastKey?: string;
  readonly pastValue?: string;
  readonly logits?: string;
  readonly presentKey?: string;
  readonly presentValue?: string;
}

/** A device to try, and the weights chosen for it. */
export interface Candidate {
  readonly device: DeviceName;
  /**
   * Path of the .onnx file; the names of its external data are relative to its folder. For a checkpoint, the
   * path of its index or of its only file, for messages.
   */
  readonly modelFile: string;
  /** The decoder of a checkpoint, for which the engine builds the graph; absent for an .onnx file. */
  readonly decoder?: DecoderSpec;
  /**
   * Absolute paths of all files of the weights, with links resolved: the .onnx file and its external data, or
   * the files of a checkpoint in the order to which `TensorPlace.file` refers. The worker has checked where
   * they are; the engine opens no other file.
   */
  readonly weightFiles: readonly string[];
  /**
   * The files of a checkpoint as they were when the worker read their headers: the places of the tensors do
   * not hold for other files. Absent for an .onnx file, which states its places itself.
   */
  readonly sources?: readonly SourceFile[];
  /**
   * The engine quantizes the matrices of a checkpoint of floats, to nearest in blocks of 32: with 8 bits, or
   * with 4 bits. Absent: as the files store them.
   */
  readonly quantize?: 'q8' | 'q4';
}

/**
 * How a GPU decodes. `off`: the host draws from the logits of each run. `eager`: the rows are computed in one
 * tensor, and the device selects the best ids. `captured`: besides, the steps are recorded once and replayed.
 */
export type GpuGraph = 'off' | 'eager' | 'captured';

/** The engine's input to open a model. */
export interface EngineOptions {
  /** Path of libonnxruntime (.so, .dylib, .dll). */
  readonly runtimeLibrary: string;
  /** At least one; the engine tries them in this order until one opens. */
  readonly candidates: readonly Candidate[];
  readonly names: TensorNames;
  /**
   * Maximum number of sequences decoded together; `auto` = 16, or fewer where all rows of the KV cache are
   * allocated at once and the memory is short.
   */
  readonly slots: number | 'auto';
  /** Tokens per slot, prompt and output together; fewer if the memory of the cache holds fewer in one row. */
  readonly context: number;
  /**
   * Bytes of memory for the KV cache, which all rows share; `auto` or absent = half of the memory that the
   * rest of the model leaves.
   */
  readonly cacheMemory?: number | 'auto';
  /** Maximum number of prompt tokens in one run; `auto` = a quarter of a second of prefill, at most 512. */
  readonly prefillChunk: number | 'auto';
  /** Threads that compute on the CPU; `auto` = one for each core that the process may use. */
  readonly threads: number | 'auto';
  /**
   * Speculative decoding with prompt-lookup drafts; `auto` = only if it gives the same tokens as plain
   * decoding.
   */
  readonly speculation: 'auto' | 'on' | 'off';
  /** How a GPU decodes; has no effect on the CPU; absent = `off`. */
  readonly gpuGraph?: GpuGraph;
  /** Folder in which the engines of this user reserve memory; absent = none. */
  readonly reservations?: string;
  /** Folder for a converted file of this engine alone, if the file cannot be shared. */
  readonly temporaryFolder?: string;
  /** Name of this file, which the worker removes when the engine has ended; absent = a random name. */
  readonly temporaryName?: string;
  /** Saved weights, which the workers of a machine share; absent = each engine has copies of its own. */
  readonly weightsCache?: WeightsCache;
  /**
   * Options of the execution provider of a device, by name, in place of those of the engine; names that
   * begin with `ep.` or `session.` are entries of the session's configuration. For measurements: no setting
   * gives them.
   */
  readonly gpuOptions?: Readonly<Record<string, string>>;
}

/** The folder of saved weights. */
export interface WeightsCache {
  readonly folder: string;
  /** Models with fewer bytes of matrices, as float32, are opened as they are; absent = 64 MiB. */
  readonly leastBytes?: number;
}

/** Why the cache is smaller than requested, and the requested size. */
export interface CacheLimit {
  /** `memory`: the memory of the cache; `address_space`: the system has no address space for all rows. */
  readonly cause: 'memory' | 'address_space';
  readonly rows: number;
  /** Tokens in a row. */
  readonly context: number;
}

/** Facts about the opened model, measured or read from the session's metadata. */
export interface EngineFacts {
  /** The runtime's version, as reported by the runtime. */
  readonly runtimeVersion: string;
  readonly device: DeviceName;
  /** Threads that compute on the CPU, also for the parts of a model that a GPU does not compute. */
  readonly threads: ThreadCount;
  readonly slots: number;
  /**
   * Rows of the KV cache: the first ones are those of the slots, the others only store prefixes of prompts.
   */
  readonly rows: number;
  /** Free memory in bytes when `auto` chose the memory of the cache; absent if the setting gives it. */
  readonly availableBytes?: number;
  /** Tokens in a row at most: prompt and output together. */
  readonly context: number;
  /** Present if the cache has fewer tokens in a row than requested, or no rows that store prefixes. */
  readonly cacheLimit?: CacheLimit;
  /**
   * `in_place`: attention appends to the KV cache. `growing`: each run returns a longer cache, and each
   * sequence runs alone.
   */
  readonly cacheUpdate: 'in_place' | 'growing';
  readonly vocabSize: number;
  /**
   * The model computes the ids below this number: the vocabulary of the logits, or the rows of the embedding
   * if they are fewer.
   */
  readonly idLimit: number;
  /**
   * Memory of the KV cache in bytes, for all rows together. Taken as it is used; allocated at once on a
   * device whose rows are all in one tensor.
   */
  readonly cacheBytes: number;
  /**
   * The part of `cacheBytes` that rows may take together, in the measure of `Session.bytesFor`. The rest is
   * for the run that makes a row longer. One row of `context` tokens always fits.
   */
  readonly cacheBudgetBytes: number;
  /** Bytes of the KV cache for one token. */
  readonly cacheBytesPerToken: number;
  /** The forms of converted weights, and their differences from the weights of the files; absent = none. */
  readonly conversions?: readonly Exactness[];
  /**
   * Names of the matrices that stay floats although the caller quantizes, because their rows are no whole
   * blocks; absent = none.
   */
  readonly floatMatrices?: readonly string[];
  /** Resident memory of the engine process after the first run, in bytes; absent if it cannot be read. */
  readonly residentBytes?: number;
  /** Bytes of GPU memory in use; 0 on the CPU. */
  readonly deviceBytes: number;
  /** Maximum number of prompt tokens in one run. */
  readonly prefillChunk: number;
  /** The same number; present only if the device computes longer runs incorrectly. */
  readonly trustedTokens?: number;
  /** A sequence that runs alone is decoded with drafts. */
  readonly speculation: boolean;
  /**
   * How the device decodes; absent = `off`. `reason`: why that is less than `EngineOptions.gpuGraph`, and
   * `detail`: the message of the runtime or of the check about it. Absent on the CPU.
   */
  readonly gpuGraph?: { readonly mode: GpuGraph; readonly reason?: GpuGraphLimit; readonly detail?: string };
  /**
   * Difference between the logits of one position computed alone and computed in a run with the positions
   * before it: root mean square, relative to the logits. About 1e-6 if only the order of sums differs, 1e-2
   * if activations are quantized. Absent for a growing cache.
   */
  readonly runDifference?: number;
  /**
   * Difference between the logits of a short prompt on the device and on the CPU with the same weights: root
   * mean square, relative to the logits. Absent if they were not compared, and on the CPU.
   */
  readonly cpuDifference?: number;
  /** Milliseconds of that comparison. */
  readonly cpuCheckMs?: number;
  /** Milliseconds of the first run, which allocates memory that later runs reuse. */
  readonly warmupMs: number;
}

/** Progress of opening a model. */
export type LoadEvent =
  /** The runtime is loaded and no obstacle to this device is known; the model is opened on it next. */
  | { readonly kind: 'loading'; readonly device: DeviceName; readonly runtimeVersion: string }
  /** A device cannot be used; the engine tries `next`. */
  | {
      readonly kind: 'fallback';
      readonly device: DeviceName;
      readonly next: DeviceName;
      readonly reason: Reason;
    }
  /** The memory that the model needs; it fits the free memory. */
  | { readonly kind: 'memory'; readonly device: DeviceName; readonly plan: MemoryPlan }
  /** The memory could not be reserved: workers that start at the same time plan with the same memory. */
  | { readonly kind: 'unreserved'; readonly device: DeviceName; readonly reason: string }
  /** The weights are converted into the form of the graph. */
  | { readonly kind: 'conversion'; readonly device: DeviceName; readonly progress: ConversionProgress }
  /** The weights are shared with other engines, or a reason why not. */
  | { readonly kind: 'weights'; readonly device: DeviceName; readonly progress: WeightsProgress }
  /** `read` of `total` bytes of the weights have been read: `percent` is 0, 25, 50, 75 and 100, once each. */
  | {
      readonly kind: 'progress';
      readonly device: DeviceName;
      readonly read: number;
      readonly total: number;
      readonly percent: number;
    };
