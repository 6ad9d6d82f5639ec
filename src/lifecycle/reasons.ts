/**
 * The sentences for the reasons that the engine reports as codes: narrated when a device is skipped or a
 * model is refused, and printed by `doctor`. Pure.
 */
import { EngineLostError, EngineRefusedError, type Loss } from '../bridge/child.ts';
import { count, formatBytes } from '../narration/phrases.ts';
import { isCpu } from '../protocol/devices.ts';
import type { Reason, ReasonCode, Refusal } from '../protocol/reasons.ts';
import { messageOf } from '../protocol/text/error-message.ts';

interface Row<C extends ReasonCode> {
  readonly text: (reason: Reason<C>) => string;
  /** True if the machine has the hardware of the device: the operator can then remove the obstacle. */
  readonly hardware: boolean;
}

/** A reason that means that the hardware is absent. */
const absent = <C extends ReasonCode>(text: Row<C>['text']): Row<C> => ({ text, hardware: false });
/** A reason that implies that the hardware is present. */
const present = <C extends ReasonCode>(text: Row<C>['text']): Row<C> => ({ text, hardware: true });

/** Texts with a fix begin with it: a narrated sentence can be cut at its end. */
const ROWS: { readonly [C in ReasonCode]: Row<C> } = {
  no_driver: absent(() => 'no NVIDIA driver'),
  driver_fault: present(({ fault }) => `the NVIDIA driver does not start (CUDA error ${fault})`),
  no_gpu_for_process: absent(() => 'the NVIDIA driver has no GPU for this process'),
  no_cuda_device: present(() => 'no NVIDIA GPU'),
  index_out_of_range: absent(({ highest }) => `the highest is ${highest}`),
  provider_missing: present(() => 'run npm run install:cuda: the CUDA provider is not installed'),
  provider_not_built: present(
    () => 'use another --runtime-library: this build of ONNX Runtime does not have the provider',
  ),
  library_missing: present(({ library }) => `${howToGet(library)}: ${library} not found`),
  driver_too_old: present(() => 'update the NVIDIA driver: it is too old for this CUDA provider'),
  no_vulkan_loader: absent(() => 'Vulkan is not installed (libvulkan.so.1 not found)'),
  no_vulkan_device: absent(() => 'Vulkan has no device'),
  no_adapter: present(() => 'WebGPU finds no GPU that it can use'),
  software_renderer: absent(({ name }) => `only a software renderer: ${name}`),
  wrong_platform: absent(({ needs }) => `available on ${needs} only`),
  no_half_floats: present(() => 'use --dtype q4 or fp32: this GPU does not support half floats'),
  out_of_memory: present(
    () => 'use less --cache-memory, fewer --slots or smaller weights: the device does not have enough free memory',
  ),
  does_not_fit: present(memoryText),
  cache_too_small: present(
    ({ cacheMemory, tokens, least, leastMemory }) =>
      `use --cache-memory ${mibOf(leastMemory)} or more: the KV cache of ${formatBytes(cacheMemory)} holds ${count(tokens, 'token')} in one row, and a row needs ${least}`,
  ),
  computes_wrong: present(wrongText),
  no_logits: present(() => 'pull the model again with --verify: the model computes no logits, all are 0'),
  operator_ignores: present(
    ({ operator, attribute, value }) =>
      `use --device cpu or cuda: ${operator} of this device ignores ${attribute}${value === undefined ? '' : `=${formatFloat(value)}`} of the model`,
  ),
  no_experts: present(() => 'use --device cpu: this device does not compute mixtures of experts'),
  weights_changed: present(
    ({ file }) => `start the worker again: ${file} has changed since the worker read its header`,
  ),
  cannot_convert: present(({ message }) => message),
  disk_full: present(
    ({ folder, needed, free }) =>
      `free some space or set --weights-cache to another disk: the converted weights need ${formatBytes(needed)} in ${folder}, and ${formatBytes(free)} are free`,
  ),
  not_written: present(
    ({ folder, message }) =>
      `set --weights-cache to a folder that can be written: ${folder} cannot be used: ${message}`,
  ),
  runtime: present(({ message }) => message),
};

/** Settings give memory in MiB. */
const mibOf = (bytes: number): number => bytes / 2 ** 20;

/** Only `doctor` knows the packages of CUDA's libraries: their names depend on the version of CUDA. */
const howToGet = (library: string): string =>
  library.startsWith('libcu') ? 'run rbees-workerd doctor for the package' : 'install the library';

/** An attribute is a float32: 7 digits are exact. */
const formatFloat = (value: number): string => String(Number(value.toPrecision(7)));

function memoryText({ device, plan, suggestion }: Reason<'does_not_fit'>): string {
  const { slots, context, weights, cache, logits, work, total, free = 0, reserved, otherWorkers = 0 } = plan;
  const rows = `${count(slots, 'slot')} of ${context} tokens`;
  const parts = `weights ${formatBytes(weights)}, cache ${formatBytes(cache)} (${rows}), logits ${formatBytes(logits)}, work ${formatBytes(work)}`;
  const held =
    reserved === undefined ? '' : ` (${count(otherWorkers, 'other worker')} reserved ${formatBytes(reserved)})`;
  const sum = `needs ${formatBytes(total)} on ${device} (${parts}), and ${formatBytes(free)} are free${held}`;
  if (!suggestion)
    return `use smaller weights (--dtype) or another device: no --slots and no --cache-memory would fit, because the model ${sum}`;
  const { cacheMemory } = suggestion;
  const values = [
    ['--cache-memory', cacheMemory === undefined ? undefined : mibOf(cacheMemory)],
    ['--slots', suggestion.slots],
    ['--context', suggestion.context],
  ] as const;
  const flags = values.flatMap(([flag, value]) => (value === undefined ? [] : [`${flag} ${value}`]));
  return `use ${flags.join(' ')}: the model ${sum}`;
}

function wrongText({ difference, comparedWith }: Reason<'computes_wrong'>): string {
  const fix = 'update the driver, or use --device cpu';
  if (difference === undefined) return `${fix}: the device computes no logits`;
  const percent = `${Math.round(difference * 100)} %`;
  return comparedWith === 'cpu'
    ? `${fix}: the logits of the device and of the CPU differ by ${percent}`
    : `${fix}: the logits of a token computed alone and after others in one run differ by ${percent}`;
}

/** The reason as text: the fix, where one exists, then the reason with its numbers. */
export function describeReason<C extends ReasonCode>(reason: Reason<C>): string {
  return ROWS[reason.code].text(reason);
}

/** The narrated fact `hardware` of a reason. */
export const hardwareOf = ({ code }: Reason): 'present' | 'absent' => (ROWS[code].hardware ? 'present' : 'absent');

/** Why a model cannot be opened. Names the device, unless it is the CPU, which every machine has. */
export function describeRefusal({ device, reason }: Refusal): string {
  const text = describeReason(reason);
  const complete = device === undefined || isCpu(device) || reason.code === 'does_not_fit';
  return complete ? text : `${device} cannot be used: ${text}`;
}

/**
 * Names of failures, for a pool-manager: after `out_of_memory`, a restart with the same settings fails again.
 */
export type FailureKind = 'out_of_memory' | 'model_load_failed' | 'engine_lost';

const MORE_MEMORY = 'raise the memory limit, or use less --cache-memory, fewer --slots or smaller weights (--dtype)';

/** Why an engine process ended. For a lack of memory, the text begins with the fix. */
export function lossText({ reason, signal, isOutOfMemory }: Loss): string {
  if (!isOutOfMemory) return reason;
  const what = signal === 'SIGKILL' ? 'the kernel killed the engine for lack of memory' : 'the engine got no memory';
  return `${MORE_MEMORY}: ${what}: ${reason}`;
}

/** The stable name of the loss of an engine process. */
export const lossKind = ({ isOutOfMemory }: Loss): FailureKind => (isOutOfMemory ? 'out_of_memory' : 'engine_lost');

/**
 * The text of any error; for an engine that refused the model, or ended for lack of memory, the sentence of
 * its reason.
 */
export function failureText(error: unknown): string {
  if (error instanceof EngineRefusedError) return describeRefusal(error.refusal);
  const loss = error instanceof EngineLostError ? error.loss : undefined;
  if (loss)
    return loss.isOutOfMemory
      ? lossText(loss)
      : `the engine process ended before it opened the model: ${lossText(loss)}`;
  return messageOf(error);
}

/** The stable name of an error of the load. */
export function loadFailureKind(error: unknown): FailureKind {
  const isOutOfMemory =
    error instanceof EngineRefusedError
      ? error.refusal.reason.code === 'out_of_memory'
      : error instanceof EngineLostError && error.loss?.isOutOfMemory === true;
  return isOutOfMemory ? 'out_of_memory' : 'model_load_failed';
}
