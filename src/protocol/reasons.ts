/**
 * The reasons why a device or a model cannot be used, as codes. The engine reports them; the worker writes
 * the sentences (`lifecycle/reasons.ts`) and `doctor` the fixes (`commands/doctor/fixes.ts`). Plain data.
 */
import type { DeviceName } from './devices.ts';
import type { MemoryPlan } from './memory-plan.ts';

/** A reason without details. */
type NoDetails = Readonly<Record<never, never>>;

/** The details of each reason, by its code. */
interface ReasonDetails {
  /** The NVIDIA driver is not installed. */
  no_driver: NoDetails;
  /** The NVIDIA driver does not start. `fault`: its `CUresult`. */
  driver_fault: { readonly fault: number };
  /** The NVIDIA driver works and reports no GPU to this process. */
  no_gpu_for_process: NoDetails;
  no_cuda_device: NoDetails;
  /** The index is larger than that of the last device of this kind, `highest`. */
  index_out_of_range: { readonly highest: DeviceName };
  /** The files of the CUDA provider are not beside the runtime's library. */
  provider_missing: NoDetails;
  /** The runtime's library was built without the execution provider of this device. */
  provider_not_built: NoDetails;
  /** The dynamic loader does not find a library that a provider needs, such as `libcudnn.so.9`. */
  library_missing: { readonly library: string };
  /** The NVIDIA driver is too old for the CUDA provider. */
  driver_too_old: NoDetails;
  /** Vulkan's loader (`libvulkan.so.1`) is not installed. */
  no_vulkan_loader: NoDetails;
  /** Vulkan is installed and reports no device. */
  no_vulkan_device: NoDetails;
  /** WebGPU finds no GPU that it can use. */
  no_adapter: NoDetails;
  /** The only device, `name`, computes on the CPU; it is used only if it is selected by name. */
  software_renderer: { readonly name: string };
  /** The device exists on another system only, such as `macOS`. */
  wrong_platform: { readonly needs: string };
  /** The weights are half floats, which the GPU does not support. */
  no_half_floats: NoDetails;
  /** The device ran out of memory while the model was opened. */
  out_of_memory: NoDetails;
  /**
   * The plan needs more memory than is free. `suggestion` fits; absent if no number of slots and no memory of
   * the cache fits.
   */
  does_not_fit: {
    readonly device: DeviceName;
    readonly plan: MemoryPlan;
    /** Absent members can stay. `cacheMemory`: whole MiB, in bytes. */
    readonly suggestion?: { readonly slots?: number; readonly context?: number; readonly cacheMemory?: number };
  };
  /**
   * The requested memory of the cache holds fewer tokens in one row than a row must have, `least`.
   * `leastMemory` holds them: whole MiB, in bytes.
   */
  cache_too_small: {
    readonly cacheMemory: number;
    readonly tokens: number;
    readonly least: number;
    readonly leastMemory: number;
  };
  /**
   * The device gives different logits for a token computed alone and for the same token computed in a run
   * with the tokens before it; or, with `comparedWith`, other logits than the CPU with the same weights.
   * `difference`: root mean square, relative to the logits; absent if the logits are not numbers.
   */
  computes_wrong: { readonly difference?: number; readonly comparedWith?: 'cpu' };
  /** All logits after a prompt are 0. */
  no_logits: NoDetails;
  /**
   * The device's implementation of an operator ignores an attribute, which has this `value` in the model, or
   * an input, which has no value: the generated text would be wrong.
   */
  operator_ignores: { readonly operator: string; readonly attribute: string; readonly value?: number };
  /** The model has mixtures of experts, which the worker does not compute on this kind of device. */
  no_experts: NoDetails;
  /** A file of a checkpoint is not the one whose header the worker has read. */
  weights_changed: { readonly file: string };
  /**
   * The weights cannot be converted into the form of a graph: their bytes are wrong, or cannot be read. The
   * message begins with the remedy.
   */
  cannot_convert: { readonly message: string };
  /** The disk has too little space for the converted weights. */
  disk_full: { readonly folder: string; readonly needed: number; readonly free: number };
  /** The converted weights cannot be written, with the message of the system. */
  not_written: { readonly folder: string; readonly message: string };
  /** Any other failure, with the runtime's message. */
  runtime: { readonly message: string };
}

export type ReasonCode = keyof ReasonDetails;

/**
 * Why the engine uses less of `--gpu-graph` than asked: the device does not record runs (`no_capture`), or
 * not those of this model (`window`, `host_nodes`); the device copies tensors only within a run
 * (`no_copies`); the cache of the model grows in each run (`growing_cache`); the check of the steps found
 * wrong logits (`computes_wrong`); the runtime or the driver failed (`fails`); the rows do not fit into the
 * memory of the device or of the cache (`memory`).
 */
export type GpuGraphLimit =
  | 'growing_cache'
  | 'no_capture'
  | 'no_copies'
  | 'window'
  | 'host_nodes'
  | 'computes_wrong'
  | 'fails'
  | 'memory';

/** A reason, or with a type argument the reason of one code. */
export type Reason<C extends ReasonCode = ReasonCode> = {
  [P in C]: { readonly code: P } & ReasonDetails[P];
}[C];

/** Why the engine cannot open a model. */
export interface Refusal {
  /** The device that cannot be used; absent for a fault of the model, which is the same on every device. */
  readonly device?: DeviceName;
  readonly reason: Reason;
}
