/**
 * What the two processes say to each other while a model is opened: where it may run and from which files, what it will need, what was found.
 */

/**
 * What a model calls its inputs and outputs, where its configuration says (`genai_config.json`); `%d` stands for the layer. Names that are
 * absent are found by the two styles in use: `past_key_values.0.key` and `present.0.key`, `past_key_0` and `present_key_0`.
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

/** A device to try, and the weights that suit it. */
export interface Candidate {
  /** `cpu`, `cuda-0`, `webgpu`, `coreml`. */
  readonly device: string;
  /** Path of the .onnx file; external data lies beside it. */
  readonly modelFile: string;
  /** All files that the weights are read from, absolute: the .onnx file and its external data. */
  readonly weightFiles: readonly string[];
}

/** What the engine needs to open a model. */
export interface EngineOptions {
  /** Path of libonnxruntime (.so, .dylib, .dll). */
  readonly runtimeLibrary: string;
  /** In this order, until one opens. At least one. */
  readonly candidates: readonly Candidate[];
  readonly names: TensorNames;
  /** Sequences decoded together; `auto` = what the memory for the cache allows, 16 at most. */
  readonly slots: number | 'auto';
  /** Tokens per slot, prompt and output together. */
  readonly context: number;
  /** Most prompt tokens of one run; `auto` = what takes a quarter of a second, 512 at most. */
  readonly prefillChunk: number | 'auto';
  /** Whether drafted tokens are verified several in a run; `auto` = where that gives the tokens of plain decoding. */
  readonly speculation: 'auto' | 'on' | 'off';
}

/** What a model needs where it runs, in bytes, as planned before it is loaded. */
export interface MemoryPlan {
  readonly slots: number;
  readonly context: number;
  readonly weights: number;
  readonly cache: number;
  readonly logits: number;
  /** What the runtime takes beside them, by experience. */
  readonly work: number;
  readonly total: number;
  /** Free before the load; absent where the system does not tell. */
  readonly free?: number;
}

/** Facts about the opened model, measured or read from the session's own metadata. */
export interface EngineFacts {
  /** Version of the runtime, as it says itself. */
  readonly runtimeVersion: string;
  /** `cpu`, `cuda-0`, … */
  readonly device: string;
  readonly slots: number;
  /** Memory that was free when the slots were chosen, in bytes; absent when their number was given. */
  readonly availableBytes?: number;
  readonly context: number;
  /** `in_place`: attention appends to the cache where it is. `growing`: each run makes a longer one, and a sequence runs by itself. */
  readonly cacheUpdate: 'in_place' | 'growing';
  readonly vocabSize: number;
  /** Bytes of the key/value cache of all slots. */
  readonly cacheBytes: number;
  /** Resident memory of the engine process after the first run, in bytes. */
  readonly residentBytes: number;
  /** Bytes held on a GPU: 0 on CPU. */
  readonly deviceBytes: number;
  /** Most prompt tokens computed in one run. */
  readonly prefillChunk: number;
  /** The same, where the device was seen to compute longer runs wrong. */
  readonly trustedTokens?: number;
  /** Whether a single running sequence is decoded with drafts. */
  readonly speculation: boolean;
  /**
   * How far the logits of one position are apart when it is computed alone and behind another: root mean square of the difference over that
   * of the logits. About 1e-6 where only the order of sums differs; 1e-2 where activations are quantized. Absent for a cache that grows.
   */
  readonly runDifference?: number;
  /** Milliseconds of the first run, which allocates what later runs reuse. */
  readonly warmupMs: number;
}

/** How the opening of a model goes on. */
export type LoadEvent =
  /** The runtime is loaded, and nothing is seen to stand in the way of this device; the model is opened next. */
  | { readonly kind: 'loading'; readonly device: string; readonly runtimeVersion: string }
  /** A device cannot be used, and the next is tried. `present`: such hardware is there, so that something can be done about the reason. */
  | {
      readonly kind: 'fallback';
      readonly device: string;
      readonly next: string;
      readonly reason: string;
      readonly present: boolean;
    }
  /** What the model will need; it fits. */
  | { readonly kind: 'memory'; readonly device: string; readonly plan: MemoryPlan }
  /** So many bytes of the weights have been read: `percent` is 0, 25, 50, 75, 100, once each. */
  | {
      readonly kind: 'progress';
      readonly device: string;
      readonly read: number;
      readonly total: number;
      readonly percent: number;
    };
