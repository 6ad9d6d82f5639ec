/**
 * Opens the model: makes an open session with reserved memory from the options, and collects the facts for
 * the worker. Tries the candidate devices in order until one opens.
 */

import { findIgnored } from '../../onnx/ignored-attributes.ts';
import { DEVICES, type DeviceName, isCpu, kindOf } from '../../protocol/devices.ts';
import type { Candidate, EngineFacts, EngineOptions, LoadEvent } from '../../protocol/loading.ts';
import type { MemoryPlan } from '../../protocol/memory-plan.ts';
import type { FromEngine } from '../../protocol/messages.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import type { Device } from '../devices/device.ts';
import { deviceNamed } from '../devices/registry.ts';
import { loadOrt, type OrtApi, OrtError } from '../ort/api.ts';
import { causeOf } from '../ort/error-causes.ts';
import { readModel, updatesInPlace } from '../ort/model-file.ts';
import { Session } from '../ort/session.ts';
import { bytesOf, readSignature, rowBytes, type Signature } from '../ort/signature.ts';
import { threadsFor } from '../ort/threads.ts';
import { MAX_DRAFT } from '../prompt-lookup.ts';
import { prefillChunk } from '../runner.ts';
import { type CpuCheck, compareWithCpu } from './cpu-check.ts';
import { LoadError } from './load-error.ts';
import { type Needs, planMemory } from './memory-plan.ts';
import { longestCorrectRun, roundingBetweenRuns } from './numeric-check.ts';
import { readWeights, sizeOf } from './read-ahead.ts';

/** Receives the engine's messages while it opens a model and after every step. */
export type Publish = (message: LoadEvent | Extract<FromEngine, { kind: 'report' }>) => void;

/**
 * Runs whose logits differ by less than this differ only in the order of sums. The smallest difference
 * measured with a quantized model is a thousand times larger.
 */
const ROUNDING = 1e-4;

/** A model open on a device. */
export interface Opened {
  readonly session: Session;
  readonly facts: EngineFacts;
}

/** A fault of the model, which is the same on every device. */
class ModelFault extends Error {
  override readonly name = 'ModelFault';
}

/** `OrtErrorCode`s of a file that is not a model, a broken file or a broken graph. */
const MODEL_FAULT_CODES = [3, 7, 10];

/** The inputs of an attempt to open the model on one device. */
interface Loading {
  readonly api: OrtApi;
  readonly options: EngineOptions;
  readonly publish: Publish;
}

/**
 * Loads the runtime, opens the model on the first device that works, reserves the memory of all runs and runs
 * the model. Releases everything if it throws.
 * @param use makes the result from the open session; if it throws, the next device is tried.
 * @throws LoadError with the reason: a fault of the model, or why the last device failed (an obstacle, too
 * little memory, or the runtime's message). Error for options out of range.
 */
export function openSession<T>(options: EngineOptions, publish: Publish, use: (opened: Opened) => T): T {
  expectCount('context', options.context, 2);
  if (options.slots !== 'auto') expectCount('slots', options.slots, 1);
  if (options.prefillChunk !== 'auto') expectCount('prefillChunk', options.prefillChunk, 2);
  const loading = { api: loadOrt(options.runtimeLibrary), options, publish };
  for (const [index, candidate] of options.candidates.entries()) {
    const next = options.candidates[index + 1];
    try {
      return openOn(candidate, loading, use);
    } catch (error) {
      const failure = failureOn(candidate.device, error);
      if (!next || failure.device === undefined) throw failure;
      publish({ kind: 'fallback', device: candidate.device, next: next.device, reason: failure.reason });
    }
  }
  throw new Error('There is no device to try');
}

/**
 * Converts any failure to a LoadError. Adds the device, unless the model is the cause. A failure on the CPU
 * keeps the runtime's message.
 */
function failureOn(device: DeviceName, error: unknown): LoadError {
  if (error instanceof LoadError) return new LoadError(error.reason, device);
  const failure = error instanceof Error ? error : new Error(String(error));
  const runtimeReason = { code: 'runtime', message: failure.message } as const;
  if (isModelFault(failure)) return new LoadError(runtimeReason, undefined, failure);
  return new LoadError(isCpu(device) ? runtimeReason : causeOf(failure.message), device, failure);
}

const isModelFault = (failure: Error): boolean =>
  failure instanceof ModelFault || (failure instanceof OrtError && MODEL_FAULT_CODES.includes(failure.code));

function openOn<T>(candidate: Candidate, loading: Loading, use: (opened: Opened) => T): T {
  const { api, options, publish } = loading;
  const device = deviceNamed(candidate.device);
  const obstacle = device.obstacle(options.runtimeLibrary, options.candidates.length === 1);
  if (obstacle) throw new LoadError(obstacle);
  publish({ kind: 'loading', device: device.name, runtimeVersion: api.version });
  const { names } = options;
  const { halfAttention } = DEVICES[kindOf(device.name)];
  const { modelFile, weightFiles } = candidate;
  const model = readModel(modelFile, { logits: names.logits, inputIds: names.inputIds, halfAttention, weightFiles });
  const { edited } = model;
  const ignored = edited && findIgnored(edited.bytes, device.ignores ?? []);
  if (ignored) throw new LoadError({ code: 'operator_ignores', ...ignored });
  const declared = edited && asModelFault(() => readSignature(edited, names));
  const free = device.freeBytes();
  const weightBytes = weightFiles.reduce((sum, file) => sum + sizeOf(file), 0);
  const target = { device, free, weightBytes, grows: !updatesInPlace(model, names) };
  const planFor = (signature: Signature): MemoryPlan => planMemory(needsOf(signature, target, options), options);
  const plan = declared && planFor(declared);
  if (plan) publish({ kind: 'memory', device: device.name, plan });
  readWeights(weightFiles, (read, total, percent) =>
    publish({ kind: 'progress', device: device.name, read, total, percent }),
  );
  const threads = threadsFor(options.threads, weightBytes);
  const session = Session.open(api, model, device, { names, threads: threads.count });
  try {
    const loaded = performance.now();
    const reserved = plan ?? planFor(session.signature);
    const warm = warmUp(session, device, reserved, options);
    const checked = isCpu(device.name) ? undefined : compareWithCpu(session, { api, candidate, options, weightBytes });
    const left = device.freeBytes();
    const measured = free !== undefined && left !== undefined ? Math.max(0, free - left) : undefined;
    const facts: EngineFacts = {
      runtimeVersion: api.version,
      device: device.name,
      threads,
      ...warm,
      idLimit: session.idLimit,
      ...checked,
      ...(options.slots === 'auto' && free !== undefined && { availableBytes: free }),
      // If the system does not report free memory: the planned bytes.
      deviceBytes: device.ownMemory ? (measured ?? reserved.weights + reserved.cache) : 0,
      warmupMs: performance.now() - loaded,
    };
    return use({ session, facts });
  } catch (error) {
    session.close();
    throw error;
  }
}

/** @throws ModelFault instead of the error of `read`, for a model that this engine cannot run. */
function asModelFault<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ModelFault(messageOf(error));
  }
}

/** The device of an attempt, and the sizes that its memory plan needs. */
interface Target {
  readonly device: Device;
  readonly free: number | undefined;
  readonly weightBytes: number;
  readonly grows: boolean;
}

function needsOf(signature: Signature, { device, free, weightBytes, grows }: Target, options: EngineOptions): Needs {
  const chunk = chunkOf(signature, options);
  const positions = signature.logits.positions ?? (signature.keep ? MAX_DRAFT + 1 : chunk);
  return {
    device: device.name,
    weights: weightBytes,
    rowBytes: (tokens) => rowBytes(signature, tokens),
    // During a run, a growing cache needs memory for the row that it reads and for the row that it writes.
    spareRows: grows ? 1 : 0,
    logits: (slots) => bytesOf(signature.logits.type, [positions + slots, signature.vocabSize]),
    work: device.workBytes,
    free,
  };
}

/** Maximum number of prompt tokens in one run. */
function chunkOf({ keep, logits, vocabSize }: Signature, { prefillChunk: requested, context }: EngineOptions): number {
  const max = requested === 'auto' ? context : requested;
  const all = !keep && logits.positions === undefined;
  return prefillChunk(all ? vocabSize * Float32Array.BYTES_PER_ELEMENT : 0, Math.min(max, context));
}

type WarmUpFacts = Omit<
  EngineFacts,
  | 'runtimeVersion'
  | 'device'
  | 'threads'
  | 'idLimit'
  | 'availableBytes'
  | 'residentBytes'
  | 'deviceBytes'
  | 'warmupMs'
  | keyof CpuCheck
>;

/** Reserves the memory, runs the model, and checks the numbers that the device computes. */
function warmUp(session: Session, device: Device, plan: MemoryPlan, options: EngineOptions): WarmUpFacts {
  const { slots, context } = plan;
  const { signature, truncates } = session;
  const chunk = chunkOf(signature, options);
  // Drafts and the checks below are also runs of one row, and may be longer than the requested chunk.
  const keep = MAX_DRAFT + 1;
  session.reserve({ rows: slots, capacity: context, chunk: Math.max(chunk, keep), keep });
  const trusted = isCpu(device.name) ? chunk : longestCorrectRun(session, context, chunk);
  const runDifference = truncates ? roundingBetweenRuns(session, context) : undefined;
  const exact = runDifference !== undefined && runDifference < ROUNDING;
  return {
    slots,
    context,
    cacheUpdate: truncates ? 'in_place' : 'growing',
    vocabSize: signature.vocabSize,
    cacheBytes: slots * rowBytes(signature, context),
    prefillChunk: trusted,
    ...(trusted < chunk && { trustedTokens: trusted }),
    // The cache must be able to drop the rejected tokens of a draft, and the model must give the logits of
    // all drafted tokens.
    speculation:
      truncates &&
      signature.logits.positions === undefined &&
      (options.speculation === 'on' || (options.speculation === 'auto' && exact)),
    ...(runDifference !== undefined && { runDifference }),
  };
}

function expectCount(name: string, value: number, min: number): void {
  if (!Number.isInteger(value) || value < min)
    throw new Error(`${name} must be a whole number, at least ${min}, not ${value}`);
}
