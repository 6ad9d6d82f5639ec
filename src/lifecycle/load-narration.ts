/**
 * Narrates the progress of opening a model: devices, memory, bytes read. Has no other effect.
 */
import type { ModelFiles } from '../model/locate.ts';
import type { ModelSpec } from '../model/spec.ts';
import type { ChosenWeights } from '../model/weights.ts';
import { narrate } from '../narration/narrate.ts';
import { DEVICES, type DeviceName, isCpu, kindOf } from '../protocol/devices.ts';
import type { EngineFacts, GpuGraph, LoadEvent } from '../protocol/loading.ts';
import type { GpuGraphLimit } from '../protocol/reasons.ts';
import { describeReason, hardwareOf } from './reasons.ts';
import { narrateConversion } from './weights/conversion-narration.ts';
import { narrateSharing } from './weights/sharing-narration.ts';

/** Narrates the corrections that the files of a model need. */
export function narrateFiles({ name, ignored, tokens: { differences } }: ModelSpec): void {
  for (const { file, field, value, allowed } of ignored)
    narrate('model.field_ignored', { model_ref: name, file, field, value, reason: `allowed: ${allowed}` });
  const { count, first, files } = differences;
  if (count === 0) return;
  narrate('model.tokens_differ', {
    model_ref: name,
    files: files.join(', '),
    differences: count,
    details: first.join('; '),
  });
}

/**
 * Narrates one message of the engine.
 * @param model name of the model, as the operator knows it
 * @param cpuReason why only the CPU is tried; absent if GPUs are tried too
 * @throws Error as `weightsOn`
 */
export function narrateLoad(message: LoadEvent, model: string, files: ModelFiles, cpuReason?: string): void {
  switch (message.kind) {
    case 'loading':
      narrateDevice(message.device, message.runtimeVersion, cpuReason);
      narrateWeights(message.device, model, files);
      break;
    case 'fallback':
      narrate('device.fallback', {
        device: message.next,
        from_device: message.device,
        reason: describeReason(message.reason),
        hardware: hardwareOf(message.reason),
      });
      break;
    case 'memory': {
      const { plan } = message;
      const shared = plan.weights - (plan.copied ?? 0);
      narrate('memory.expected', {
        device: message.device,
        needed_bytes: plan.total,
        model_bytes: plan.weights,
        shared_bytes: shared,
        own_bytes: plan.total - shared,
        cache_bytes: plan.cache,
        logits_bytes: plan.logits,
        work_bytes: plan.work,
        slots: plan.slots,
        context_length: plan.context,
        available_bytes: plan.free,
        reserved_bytes: plan.reserved,
        other_workers: plan.otherWorkers,
      });
      break;
    }
    case 'unreserved':
      narrate('memory.unreserved', { device: message.device, reason: message.reason });
      break;
    case 'conversion':
      narrateConversion(message.device, message.progress);
      break;
    case 'weights':
      narrateSharing(message.device, message.progress);
      break;
    case 'progress':
      narrate('model.load_progress', {
        model_ref: model,
        bytes_read: message.read,
        model_bytes: message.total,
        percent: message.percent,
      });
      break;
    default:
      message satisfies never;
  }
}

function narrateDevice(device: DeviceName, runtimeVersion: string, cpuReason: string | undefined): void {
  const facts = { device, runtime_version: runtimeVersion };
  if (isCpu(device)) narrate('device.cpu', { ...facts, reason: cpuReason });
  else narrate(DEVICES[kindOf(device)].event, facts);
}

function narrateWeights(device: DeviceName, model: string, files: ModelFiles): void {
  const { bytes, dtype, reason } = weightsOn(device, files);
  const dtypes = files.dtypes.join(', ');
  narrate('model.load_started', { model_ref: model, model_bytes: bytes, dtype, device, reason, dtypes });
}

/**
 * The weights chosen for the device that the engine opened.
 * @throws Error if no weights were chosen for the device: a defect of the worker
 */
export function weightsOn(device: DeviceName, { choices }: ModelFiles): ChosenWeights {
  const weights = choices.find((choice) => choice.device === device);
  if (weights === undefined) throw new Error(`The engine opened ${device}, for which no weights were chosen`);
  return weights;
}

/** Narrates that the cache is smaller than requested. */
export function narrateCacheLimit({ device, context, rows, cacheBytes, cacheLimit }: EngineFacts): void {
  if (cacheLimit === undefined) return;
  narrate('cache.limited', {
    device,
    limited_by: cacheLimit.cause,
    context_length: context,
    requested_context: cacheLimit.context,
    cache_rows: rows,
    requested_rows: cacheLimit.rows,
    cache_bytes: cacheBytes,
  });
}

/** At most 45 characters each: the sentence of the event has 100. */
const GPU_GRAPH_LIMITS: Readonly<Record<GpuGraphLimit, string>> = {
  growing_cache: 'each run makes a longer cache',
  no_capture: 'the device does not record runs',
  no_copies: 'the device copies only within a run',
  window: 'recorded runs ignore the sliding window',
  host_nodes: 'the host computes a part of the model',
  computes_wrong: 'the check of its steps found wrong logits',
  fails: 'the runtime or the driver failed',
  memory: 'too little memory for all rows; lower --slots',
};

/**
 * Narrates that a GPU uses less of `--gpu-graph` than asked.
 * @param asked the setting
 */
export function narrateGpuGraph({ device, gpuGraph }: EngineFacts, asked: GpuGraph): void {
  if (gpuGraph?.reason === undefined) return;
  const { mode, reason, detail } = gpuGraph;
  narrate('gpu_graph.limited', {
    device,
    gpu_graph: mode,
    gpu_graph_asked: asked,
    reason: GPU_GRAPH_LIMITS[reason],
    gpu_graph_detail: detail,
  });
}

/**
 * Narrates the end of the warm-up: what the engine serves with.
 * @param memory bytes of memory of both processes; undefined if they cannot be read
 * @param auto true if `--speculation` is `auto`
 * @param instanceId the life of the process: a reader of the log joins these facts with `worker.startup`
 */
export function narrateWarmup(
  facts: EngineFacts,
  memory: number | undefined,
  auto: boolean,
  instanceId?: string,
): void {
  narrate('warmup.done', {
    duration_ms: facts.warmupMs,
    slots: facts.slots,
    context_length: facts.context,
    memory_bytes: memory,
    vram_bytes: facts.deviceBytes,
    threads: facts.threads.count,
    threads_reason: facts.threads.reason,
    cpu_quota: facts.threads.cpuQuota,
    speculation: facts.speculation ? 'on' : 'off',
    gpu_graph: facts.gpuGraph?.mode === 'off' ? undefined : facts.gpuGraph?.mode,
    trusted_tokens: facts.trustedTokens,
    cpu_difference_percent: facts.cpuDifference === undefined ? undefined : facts.cpuDifference * 100,
    cpu_check_ms: facts.cpuCheckMs,
    instance_id: instanceId,
    ...(auto &&
      !facts.speculation &&
      facts.runDifference !== undefined && { rounding_percent: facts.runDifference * 100 }),
  });
}
