/**
 * Opens the model: makes an open session with reserved memory from the options, and collects the facts for
 * the worker. Tries the candidate devices in order until one opens.
 */

import { findIgnored } from '../../onnx/ignored-attributes.ts';
import { type DeviceName, ignoredBy, isCpu, kindOf } from '../../protocol/devices.ts';
import type { Candidate, EngineFacts, EngineOptions, LoadEvent } from '../../protocol/loading.ts';
import type { MemoryPlan } from '../../protocol/memory-plan.ts';
import type { FromEngine } from '../../protocol/messages.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import type { ThreadCount } from '../../protocol/threads.ts';
import { type Device, withoutHeld } from '../devices/device.ts';
import { deviceNamed } from '../devices/registry.ts';
import { MAX_DRAFT } from '../drafts/prompt-lookup.ts';
import type { HeldMemory } from '../host/host-memory.ts';
import { canMap } from '../host/mapped-memory.ts';
import { loadOrt, type OrtApi, OrtError } from '../ort/api.ts';
import { modelOf } from '../ort/built-model.ts';
import { growthOf } from '../ort/cache/growth.ts';
import { causeOf, isOutOfMemory } from '../ort/error-causes.ts';
import { updatesInPlace } from '../ort/model-file.ts';
import { Session } from '../ort/session.ts';
import { readSignature, rowBytes } from '../ort/signature.ts';
import { threadsFor } from '../ort/threads.ts';
import { type CpuCheck, compareWithCpu } from './cpu-check.ts';
import { LoadError } from './load-error.ts';
import { chunkOf, needsOf } from './needs.ts';
import { longestCorrectRun, roundingBetweenRuns } from './numeric-check.ts';
import { readWeights, sizeOf } from './read-ahead.ts';
import { reserveCache } from './reserve-cache.ts';
import { planReserved, type ReservedPlan } from './reserved-plan.ts';

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
 * keeps the runtime's message, except for a lack of memory.
 */
function failureOn(device: DeviceName, error: unknown): LoadError {
  if (error instanceof LoadError) return new LoadError(error.reason, device);
  const failure = error instanceof Error ? error : new Error(String(error));
  const runtimeReason = { code: 'runtime', message: failure.message } as const;
  if (isModelFault(failure)) return new LoadError(runtimeReason, undefined, failure);
  const isKnown = !isCpu(device) || isOutOfMemory(failure.message);
  return new LoadError(isKnown ? causeOf(failure.message) : runtimeReason, device, failure);
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
  const { weightFiles } = candidate;
  const model = modelOf(candidate, device.name, options);
  const { edited } = model;
  const ignored = edited && findIgnored(edited.bytes, ignoredBy(kindOf(device.name), device.graphCapture));
  if (ignored) throw new LoadError({ code: 'operator_ignores', ...ignored });
  const declared = edited && asModelFault(() => readSignature(edited, names));
  const weightBytes = weightFiles.reduce((sum, file) => sum + sizeOf(file), 0);
  const free = device.freeBytes();
  const { freeBytes } = device;
  const target = { requested: options, device, weightFiles, folder: options.reservations, freeBytes };
  const growth = growthOf(device, { appends: !updatesInPlace(model, names), canMap });
  const needs = { device, weightBytes, growth };
  const planned = declared && planReserved(needsOf(declared, needs, options), target);
  if (planned) publishPlan(planned, device.name, publish);
  try {
    readWeights(weightFiles, (read, total, percent) =>
      publish({ kind: 'progress', device: device.name, read, total, percent }),
    );
    const threads = threadsFor(options.threads, weightBytes);
    const session = Session.open(api, model, device, { names, threads: threads.count });
    const began = performance.now();
    // The weights are in memory now, so the free memory is that of before.
    const late = { ...target, freeBytes: (held: readonly HeldMemory[]) => withoutHeld(free, held) };
    const planOf = (): ReservedPlan => planned ?? planReserved(needsOf(session.signature, needs, options), late);
    return useSession(session, { candidate, loading, device, free, weightBytes, threads, planOf, began }, use);
  } catch (error) {
    planned?.release();
    throw error;
  }
}

/** The memory of a plan, as the worker narrates it. */
function publishPlan({ plan, problem }: ReservedPlan, device: DeviceName, publish: Publish): void {
  publish({ kind: 'memory', device, plan });
  if (problem !== undefined) publish({ kind: 'unreserved', device, reason: problem });
}

/** An open session, and what is known about it. */
interface Attempt {
  readonly candidate: Candidate;
  readonly loading: Loading;
  readonly device: Device;
  /** Free bytes before the load. */
  readonly free: number | undefined;
  readonly weightBytes: number;
  readonly threads: ThreadCount;
  readonly planOf: () => ReservedPlan;
  /** When the session was open, on performance.now()'s clock. */
  readonly began: number;
}

/** Reserves the memory of the session, runs it, and collects the facts. Closes the session if it throws. */
function useSession<T>(session: Session, attempt: Attempt, use: (opened: Opened) => T): T {
  const { candidate, loading, device, free, weightBytes, threads, planOf, began } = attempt;
  const { api, options } = loading;
  let reserved: ReservedPlan | undefined;
  try {
    reserved = planOf();
    const { plan } = reserved;
    const warm = warmUp(session, device, plan, options);
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
      ...(typeof options.cacheMemory !== 'number' && plan.free !== undefined && { availableBytes: plan.free }),
      // If the system does not report free memory: the planned bytes.
      deviceBytes: device.ownMemory ? (measured ?? plan.weights + (session.growth === 'none' ? plan.cache : 0)) : 0,
      warmupMs: performance.now() - began,
    };
    const used = use({ session, facts });
    // The memory of a device is in use now, except for a cache that grows. Memory of the host is taken when
    // it is used first.
    if (device.ownMemory && session.growth === 'none') reserved.release();
    else if (device.ownMemory) reserved.keepCache();
    return used;
  } catch (error) {
    session.close();
    reserved?.release();
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

/**
 * Why the cache has fewer tokens in a row than requested, or no rows that store prefixes. A part of these
 * rows is enough.
 */
function limitOf(
  { rows, context }: Pick<MemoryPlan, 'rows' | 'context'>,
  plan: MemoryPlan,
): Pick<EngineFacts, 'cacheLimit'> {
  const isRefused = context < plan.context || (rows < plan.rows && rows === plan.slots);
  if (!isRefused && plan.requestedContext === undefined) return {};
  const requested = { rows: plan.rows, context: plan.requestedContext ?? plan.context };
  return { cacheLimit: { cause: isRefused ? 'address_space' : 'memory', ...requested } };
}

/** Reserves the memory, runs the model, and checks the numbers that the device computes. */
function warmUp(session: Session, device: Device, plan: MemoryPlan, options: EngineOptions): WarmUpFacts {
  const { signature, truncates } = session;
  const chunk = chunkOf(signature, options);
  // Drafts and the checks below are also runs of one row, and may be longer than the requested chunk.
  const keep = MAX_DRAFT + 1;
  const { slots, rows, context } = reserveCache(session, plan, { chunk: Math.max(chunk, keep), keep });
  const trusted = isCpu(device.name) ? chunk : longestCorrectRun(session, context, chunk);
  const runDifference = truncates ? roundingBetweenRuns(session, context) : undefined;
  const exact = runDifference !== undefined && runDifference < ROUNDING;
  session.forget(0);
  session.releaseRow(0, 0);
  return {
    slots,
    rows,
    context,
    ...limitOf({ rows, context }, plan),
    cacheUpdate: truncates ? 'in_place' : 'growing',
    vocabSize: signature.vocabSize,
    cacheBytes: plan.cache,
    cacheBudgetBytes: plan.budget,
    cacheBytesPerToken: rowBytes(signature, 1),
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
