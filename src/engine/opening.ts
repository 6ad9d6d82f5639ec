/**
 * From options to an open session with its memory reserved, and the facts about it that the worker tells. Tries the devices in their order
 * until one opens; the last one's failure is the engine's.
 */
import type { Candidate, EngineFacts, EngineOptions, MemoryPlan, Opening } from '../bridge/opening.ts';
import type { FromEngine } from '../bridge/protocol.ts';
import { MOST_DRAFTED } from './drafts.ts';
import { MemoryError, planMemory } from './memory-plan.ts';
import { loadOrt, type OrtApi } from './ort/api.ts';
import { causeOf, type Device, deviceNamed, type Obstacle } from './ort/device.ts';
import { type ModelFile, readModel } from './ort/model-file.ts';
import { Session } from './ort/session.ts';
import { bytesOf, readSignature, rowBytes, type Signature } from './ort/signature.ts';
import { differenceOfRuns, trustedRun } from './rehearsal.ts';
import { prefillChunk } from './runner.ts';
import { readWeights, sizeOf } from './weights.ts';

/** Takes what the engine has to say while it opens and after every step. */
export type Publish = (message: Opening | Extract<FromEngine, { kind: 'report' }>) => void;

/** Runs that differ by less differ in the order of sums only; the least seen of a quantized model is a thousand times larger. */
const ROUNDING = 1e-4;

/** A device that cannot be used, in words a person can act on. */
class DeviceError extends Error {
  override readonly name = 'DeviceError';
  readonly present: boolean;

  constructor(device: string, { reason, present }: Obstacle, cause?: Error) {
    super(device === 'cpu' ? reason : `${device} cannot be used: ${reason}`, { cause });
    this.present = present;
  }
}

/** A model open on a device. */
interface Opened {
  readonly session: Session;
  readonly facts: EngineFacts;
}

/**
 * Loads the runtime, opens the model on the first device that takes it, reserves the memory of all runs and makes the first two. Nothing is
 * left behind when it throws.
 * @throws Error in words for the operator: the last device's obstacle, the memory that is lacking, or the runtime's own message.
 */
export function openSession(options: EngineOptions, publish: Publish): Opened {
  expectCount('context', options.context, 2);
  if (options.slots !== 'auto') expectCount('slots', options.slots, 1);
  if (options.prefillChunk !== 'auto') expectCount('prefillChunk', options.prefillChunk, 2);
  const api = loadOrt(options.runtimeLibrary);
  for (const [index, candidate] of options.candidates.entries()) {
    const next = options.candidates[index + 1];
    try {
      return openOn(candidate, api, options, publish);
    } catch (error) {
      if (!next) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const present = !(error instanceof DeviceError) || error.present;
      publish({ kind: 'fallback', device: candidate.device, next: next.device, reason, present });
    }
  }
  throw new Error('There is no device to try');
}

function openOn(candidate: Candidate, api: OrtApi, options: EngineOptions, publish: Publish): Opened {
  const began = performance.now();
  const device = deviceNamed(candidate.device);
  const obstacle = device.obstacle(options.runtimeLibrary, options.candidates.length === 1);
  if (obstacle) throw new DeviceError(device.name, obstacle);
  publish({ kind: 'opening', device: device.name, runtimeVersion: api.version });
  const { halfAttention } = device;
  const model = readModel(candidate.modelFile, { logits: options.names.logits, halfAttention });
  const free = device.freeBytes();
  const plan = planned(candidate, model, device, free, options);
  if (plan) publish({ kind: 'memory', device: device.name, plan });
  readWeights(candidate.weightFiles, (read, total, percent) =>
    publish({ kind: 'progress', device: device.name, read, total, percent }),
  );
  const session = openModel(api, model, device, options);
  try {
    const loaded = performance.now();
    const reserved = plan ?? planMemory(needsOf(session.signature, candidate, device, free, options), options);
    const warm = warmUp(session, device, reserved, options);
    const freed = device.freeBytes();
    const measured = free !== undefined && freed !== undefined ? Math.max(0, free - freed) : undefined;
    const facts: EngineFacts = {
      runtimeVersion: api.version,
      device: device.name,
      ...warm,
      ...(options.slots === 'auto' && free !== undefined && { availableBytes: free }),
      residentBytes: 0,
      // Where the system does not tell, what was asked of it.
      deviceBytes: device.ownMemory ? (measured ?? reserved.weights + reserved.cache) : 0,
      loadMs: loaded - began,
      warmupMs: performance.now() - loaded,
    };
    return { session, facts };
  } catch (error) {
    session.close();
    throw error;
  }
}

/** @throws DeviceError where the device is the reason; OrtError with the runtime's message on the CPU. */
function openModel(api: OrtApi, model: ModelFile, device: Device, { names }: EngineOptions): Session {
  try {
    return Session.open(api, model, device, names);
  } catch (error) {
    if (device.name === 'cpu' || !(error instanceof Error)) throw error;
    throw new DeviceError(device.name, { reason: causeOf(error.message), present: true }, error);
  }
}

/** Before the load, as far as the file could be read. */
function planned(
  candidate: Candidate,
  model: ModelFile,
  device: Device,
  free: number | undefined,
  options: EngineOptions,
): MemoryPlan | undefined {
  if (!model.light) return undefined;
  const needs = needsOf(readSignature(model.light, options.names), candidate, device, free, options);
  try {
    return planMemory(needs, options);
  } catch (error) {
    if (error instanceof MemoryError)
      throw new MemoryError(`The model does not fit ${device.name}: it ${error.message}`);
    throw error;
  }
}

function needsOf(
  signature: Signature,
  candidate: Candidate,
  device: Device,
  free: number | undefined,
  options: EngineOptions,
): Parameters<typeof planMemory>[0] {
  const chunk = chunkOf(signature, options);
  const places = (signature.keep ? MOST_DRAFTED + 1 : chunk) + (options.slots === 'auto' ? 1 : options.slots);
  return {
    weights: candidate.weightFiles.reduce((sum, file) => sum + sizeOf(file), 0),
    rowBytes: (tokens) => rowBytes(signature, tokens),
    logits: bytesOf(signature.logits.type, [places, signature.vocabSize]),
    work: device.workBytes,
    free,
  };
}

/** Most prompt tokens of one run. */
function chunkOf({ keep, vocabSize }: Signature, { prefillChunk: asked, context }: EngineOptions): number {
  const most = asked === 'auto' ? context : asked;
  return prefillChunk(keep ? 0 : vocabSize * Float32Array.BYTES_PER_ELEMENT, Math.min(most, context));
}

/** @throws DeviceError for a device that computes something else, or cannot compute what the model asks of it. */
function trustedOn(session: Session, device: Device, context: number, chunk: number): number {
  try {
    return trustedRun(session, context, chunk);
  } catch (error) {
    throw new DeviceError(device.name, {
      reason: causeOf(error instanceof Error ? error.message : String(error)),
      present: true,
    });
  }
}

type Warm = Omit<
  EngineFacts,
  'runtimeVersion' | 'device' | 'availableBytes' | 'residentBytes' | 'deviceBytes' | 'loadMs' | 'warmupMs'
>;

/** Reserves the memory and makes the first runs. */
function warmUp(session: Session, device: Device, plan: MemoryPlan, options: EngineOptions): Warm {
  const { slots, context, cache } = plan;
  const { signature, truncates, together } = session;
  const chunk = chunkOf(signature, options);
  // A draft and the runs below are of one row too, and may be longer than a chunk that was asked for.
  const keep = MOST_DRAFTED + 1;
  session.reserve({ rows: slots, capacity: context, chunk: Math.max(chunk, keep), keep });
  const trusted = device.name === 'cpu' ? chunk : trustedOn(session, device, context, chunk);
  const runDifference = truncates ? differenceOfRuns(session, context) : undefined;
  const exact = runDifference !== undefined && runDifference < ROUNDING;
  return {
    slots,
    context,
    cacheUpdate: truncates ? 'in_place' : 'growing',
    together,
    vocabSize: signature.vocabSize,
    layers: signature.layers,
    kvHeads: signature.kvHeads,
    headDim: signature.headDim,
    cacheBytes: cache,
    prefillChunk: trusted,
    // What a draft got wrong must be forgotten.
    speculation: truncates && (options.speculation === 'on' || (options.speculation === 'auto' && exact)),
    ...(runDifference !== undefined && { runDifference }),
  };
}

function expectCount(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new Error(`${name} must be a whole number, at least ${least}, not ${value}`);
}
