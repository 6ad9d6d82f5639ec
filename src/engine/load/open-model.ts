/**
 * Opens the model: makes an open session with reserved memory from the options, and collects the facts for
 * the worker. Tries the candidate devices in order until one opens.
 */

import { CHOICES } from '../../graph-builder/choices.ts';
import { findIgnored } from '../../onnx/ignored-attributes.ts';
import { hasExperts } from '../../protocol/decoder/decoder-spec.ts';
import { type DeviceName, ignoredBy, isCpu, kindOf } from '../../protocol/devices.ts';
import type { Candidate, EngineOptions } from '../../protocol/loading.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { type ConversionFacts, readableCandidate } from '../conversion/graph-candidate.ts';
import { type Device, withoutHeld } from '../devices/device.ts';
import { deviceNamed } from '../devices/registry.ts';
import { withOptions } from '../devices/with-options.ts';
import type { HeldMemory } from '../host/host-memory.ts';
import { canMap } from '../host/mapped-memory.ts';
import { loadOrt } from '../ort/api.ts';
import { type GraphCandidate, modelOf, weightBytesOn } from '../ort/built-model.ts';
import { type CacheGrowth, growthOf } from '../ort/cache/growth.ts';
import { causeOf, isOutOfMemory } from '../ort/error-causes.ts';
import { type ModelFile, updatesInPlace } from '../ort/model-file.ts';
import { Session } from '../ort/session.ts';
import { readSignature, type Signature } from '../ort/signature.ts';
import { threadsFor } from '../ort/threads.ts';
import { LEAST_SAVED_BYTES, type Matrices, matricesOf } from '../prepared/eligible-graph.ts';
import { type SharedWeights, sharedWeights } from '../prepared/share-weights.ts';
import { openShared, WrongWeights } from '../prepared/shared-logits.ts';
import { mappedWeights, ownWeights, reserveSaving, type WeightsMemory } from '../prepared/weights-memory.ts';
import { checkGpuMode, type GpuMode, withGpuMode } from './gpu/gpu-mode.ts';
import { isModelFault, LoadError, ModelFault } from './load-error.ts';
import { needsOf, type Target } from './needs.ts';
import { readWeights } from './read-ahead.ts';
import { type PlanTarget, planReserved, type ReservedPlan } from './reserved-plan.ts';
import { type Loading, type Opened, type Publish, useSession } from './use-session.ts';

/** Attempts to open saved weights. */
const MAX_SHARED_ATTEMPTS = 2;

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

/** A model that the engine has read for a device, and what is known before the runtime opens it. */
interface ReadModel {
  readonly candidate: GraphCandidate;
  readonly conversion: ConversionFacts;
  readonly loading: Loading;
  readonly device: Device;
  readonly model: ModelFile;
  /** The signature of the graph; absent for a file that cannot be read. */
  readonly declared: Signature | undefined;
  /** Bytes of the weights on the device, in a copy of its own. */
  readonly weightBytes: number;
  readonly growth: CacheGrowth;
  readonly gpuMode: GpuMode;
}

function openOn<T>(candidate: Candidate, loading: Loading, use: (opened: Opened) => T): T {
  const { api, options, publish } = loading;
  const device = withOptions(deviceNamed(candidate.device), options.gpuOptions);
  const obstacle = device.obstacle(options.runtimeLibrary, options.candidates.length === 1);
  if (obstacle) throw new LoadError(obstacle);
  // Before anything is read.
  const hasMixtures = candidate.decoder?.layers.some(({ mlp }) => hasExperts(mlp)) ?? false;
  if (hasMixtures && !CHOICES[kindOf(device.name)].experts) throw new LoadError({ code: 'no_experts' });
  publish({ kind: 'loading', device: device.name, runtimeVersion: api.version });
  const { gpuGraph: asked = 'off' } = options;
  const readable = readableCandidate(candidate, options, {
    report: (progress) => publish({ kind: 'conversion', device: device.name, progress }),
    check: (provisional) =>
      withGpuMode(asked, device, (gpuMode) =>
        checkModel({ ...readOn(provisional, loading, { device, gpuMode }), conversion: {} }),
      ),
  });
  try {
    return withGpuMode(asked, device, (gpuMode) =>
      openRead({ ...readOn(readable.candidate, loading, { device, gpuMode }), conversion: readable.facts }, use),
    );
  } finally {
    readable.release();
  }
}

/** Reads or builds the graph of a candidate. @throws LoadError for a graph that the device computes wrong */
function readOn(
  candidate: GraphCandidate,
  loading: Loading,
  { device, gpuMode }: Pick<ReadModel, 'device' | 'gpuMode'>,
): Omit<ReadModel, 'conversion'> {
  const { options } = loading;
  const { mode } = gpuMode;
  const model = modelOf(candidate, device.name, { ...options, gpuGraph: mode });
  const { edited } = model;
  const ignored = edited && findIgnored(edited.bytes, ignoredBy(kindOf(device.name)));
  if (ignored) throw new LoadError({ code: 'operator_ignores', ...ignored });
  const declared = edited && asModelFault(() => readSignature(edited, options.names));
  const weightBytes = weightBytesOn(device.name, candidate, options.context);
  const appends = !updatesInPlace(model, options.names);
  checkGpuMode(mode, device, { model, declared, appends });
  const growth = growthOf(device, { appends, canMap, together: mode !== 'off' });
  return { candidate, loading, device, model, declared, weightBytes, growth, gpuMode };
}

/** @throws LoadError `does_not_fit` for a model that needs more memory than is free */
function checkModel(read: ReadModel): void {
  const { candidate, loading, declared, weightBytes } = read;
  if (!declared) return;
  const needs = needsOf(declared, { ...cacheOf(read), weightBytes }, loading.options);
  planReserved(needs, targetOf(read, candidate.weightFiles)).release();
}

function openRead<T>(read: ReadModel, use: (opened: Opened) => T): T {
  const { candidate, loading, device, model, weightBytes } = read;
  const { options } = loading;
  const { edited } = model;
  // A small graph is not parsed again: its weights are never saved.
  const isLarge = isCpu(device.name) && weightBytes >= (options.weightsCache?.leastBytes ?? LEAST_SAVED_BYTES);
  const matrices = edited && isLarge ? matricesOf(edited.bytes, candidate.decoder !== undefined) : undefined;
  // Saved weights whose logits differ are removed, and the second attempt saves them again.
  for (let attempt = 0; attempt < MAX_SHARED_ATTEMPTS; attempt++) {
    const shared = findShared(read, matrices);
    if (!shared) break;
    try {
      return openWith(read, mappedWeights(shared), use, shared);
    } catch (error) {
      if (!(error instanceof WrongWeights)) throw error;
      shared.reject(error.reason);
    }
  }
  return openWith(read, ownWeights(weightBytes, matrices, device.freeBytes()), use);
}

/** The saved weights of a model on the CPU; undefined if the engine has weights of its own. */
function findShared(read: ReadModel, matrices: Matrices | undefined): SharedWeights | undefined {
  const { candidate, loading, device, model, declared, weightBytes } = read;
  const { api, options, publish } = loading;
  if (!matrices || !model.edited || !declared || candidate.hasOwnFile) return undefined;
  const needs = needsOf(declared, { ...cacheOf(read), weightBytes }, options);
  return sharedWeights({
    ...{ api, device, options, matrices },
    model: { path: model.path, edited: model.edited },
    names: options.names,
    threads: threadsFor(options.threads, weightBytes).count,
    weightFiles: candidate.weightFiles,
    report: (progress) => publish({ kind: 'weights', device: device.name, progress }),
    reserve: reserveSaving(needs, targetOf(read, candidate.weightFiles)),
  });
}

/** The device, and how the cache takes memory there. */
const cacheOf = ({ device, growth, gpuMode }: ReadModel): Pick<Target, 'device' | 'growth' | 'together'> => ({
  device,
  growth,
  together: gpuMode.mode !== 'off',
});

const targetOf = ({ loading: { options }, device }: ReadModel, weightFiles: readonly string[]): PlanTarget => ({
  requested: options,
  device,
  weightFiles,
  folder: options.reservations,
  freeBytes: device.freeBytes,
});

function openWith<T>(read: ReadModel, weights: WeightsMemory, use: (opened: Opened) => T, shared?: SharedWeights): T {
  const { candidate, conversion, loading, device, model, declared, weightBytes, gpuMode } = read;
  const { api, options, publish } = loading;
  const { names } = options;
  const weightFiles = shared?.files ?? candidate.weightFiles;
  const free = device.freeBytes();
  const turn = shared?.takeTurn();
  const target = targetOf(read, weightFiles);
  const needs = { ...cacheOf(read), ...weights };
  let planned: ReservedPlan | undefined;
  try {
    planned = declared && planReserved(needsOf(declared, needs, options), target);
    if (planned) publishPlan(planned, device.name, publish);
    readWeights(shared?.parts ?? candidate.parts ?? weightFiles, (done, total, percent) =>
      publish({ kind: 'progress', device: device.name, read: done, total, percent }),
    );
    const threads = threadsFor(options.threads, weightBytes);
    const { configure } = weights;
    const { mode: gpuGraph } = gpuMode;
    const settings = { names, threads: threads.count, gpuGraph, ...(configure && { configure }) };
    const open = (): Session => Session.open(api, shared?.model ?? model, device, settings);
    const session = shared ? openShared(open) : open();
    planned?.endOpening();
    turn?.release();
    const began = performance.now();
    // The weights are in memory now, so the free memory is that of before.
    const late = { ...target, freeBytes: (held: readonly HeldMemory[]) => withoutHeld(free, held) };
    const planOf = (): ReservedPlan => planned ?? planReserved(needsOf(session.signature, needs, options), late);
    const attempt = { candidate, conversion, loading, device, gpuMode, free, threads, planOf, began };
    return useSession(session, { ...attempt, ...(shared && { shared }) }, use);
  } catch (error) {
    planned?.release();
    turn?.release();
    throw error;
  }
}

/** The memory of a plan, as the worker narrates it. */
function publishPlan({ plan, problem }: ReservedPlan, device: DeviceName, publish: Publish): void {
  publish({ kind: 'memory', device, plan });
  if (problem !== undefined) publish({ kind: 'unreserved', device, reason: problem });
}

/** @throws ModelFault instead of the error of `read`, for a model that this engine cannot run. */
function asModelFault<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ModelFault(messageOf(error));
  }
}

function expectCount(name: string, value: number, min: number): void {
  if (!Number.isInteger(value) || value < min)
    throw new Error(`${name} must be a whole number, at least ${min}, not ${value}`);
}
