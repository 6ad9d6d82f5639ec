/**
 * From options to an open session with its memory reserved, and the facts about it that the worker tells. Tries the devices in their order
 * until one opens; the last one's failure is the engine's.
 */
import type { Candidate, EngineFacts, EngineOptions, LoadEvent, MemoryPlan } from '../../protocol/loading.ts';
import type { FromEngine } from '../../protocol/messages.ts';
import { type Device, deviceNamed, type Obstacle } from '../devices/device.ts';
import { loadOrt, type OrtApi, OrtError } from '../ort/api.ts';
import { causeOf } from '../ort/error-causes.ts';
import { readModel, updatesInPlace } from '../ort/model-file.ts';
import { Session } from '../ort/session.ts';
import { bytesOf, readSignature, rowBytes, type Signature } from '../ort/signature.ts';
import { MOST_DRAFTED } from '../prompt-lookup.ts';
import { prefillChunk } from '../runner.ts';
import { MemoryError, type Needs, planMemory } from './memory-plan.ts';
import { longestCorrectRun, roundingBetweenRuns } from './numeric-check.ts';
import { readWeights, sizeOf } from './read-ahead.ts';

/** Takes what the engine has to say while it opens and after every step. */
export type Publish = (message: LoadEvent | Extract<FromEngine, { kind: 'report' }>) => void;

/** Runs that differ by less differ in the order of sums only; the least seen of a quantized model is a thousand times larger. */
const ROUNDING = 1e-4;

/** A device that cannot be used, in words a person can act on. */
class DeviceError extends Error {
  override readonly name = 'DeviceError';
  readonly present: boolean;

  constructor(device: string, { reason, present }: Obstacle, cause?: Error) {
    super(`${device} cannot be used: ${reason}`, { cause });
    this.present = present;
  }
}

/** A model open on a device. */
export interface Opened {
  readonly session: Session;
  readonly facts: EngineFacts;
}

/** What is wrong with the model, wherever it runs. */
class ModelFault extends Error {
  override readonly name = 'ModelFault';
}

/** `OrtErrorCode`s of a file that is none, is broken, or whose graph is. */
const FAULTS_OF_THE_MODEL = [3, 7, 10];

/**
 * Loads the runtime, opens the model on the first device that takes it, reserves the memory of all runs, and makes the first ones. Nothing is
 * left behind when it throws.
 * @param use makes what is wanted of the open session; a device on which that fails is passed over too.
 * @throws Error in words for the operator: what is wrong with the model, or of the last device its obstacle, the memory that is lacking, or
 * the runtime's own message.
 */
export function openSession<T>(options: EngineOptions, publish: Publish, use: (opened: Opened) => T): T {
  expectCount('context', options.context, 2);
  if (options.slots !== 'auto') expectCount('slots', options.slots, 1);
  if (options.prefillChunk !== 'auto') expectCount('prefillChunk', options.prefillChunk, 2);
  const api = loadOrt(options.runtimeLibrary);
  for (const [index, candidate] of options.candidates.entries()) {
    const next = options.candidates[index + 1];
    try {
      return openOn(candidate, api, options, publish, use);
    } catch (error) {
      const failure = failureOn(candidate.device, error);
      if (!next || isOfTheModel(failure)) throw failure;
      const present = !(failure instanceof DeviceError) || failure.present;
      publish({ kind: 'fallback', device: candidate.device, next: next.device, reason: failure.message, present });
    }
  }
  throw new Error('There is no device to try');
}

/** What the CPU meets is told in the runtime's own words; elsewhere the device may be the reason. */
function failureOn(device: string, error: unknown): Error {
  const failure = error instanceof Error ? error : new Error(String(error));
  if (device === 'cpu' || isOfTheModel(failure) || failure instanceof DeviceError || failure instanceof MemoryError)
    return failure;
  return new DeviceError(device, { reason: causeOf(failure.message), present: true }, failure);
}

const isOfTheModel = (failure: Error): boolean =>
  failure instanceof ModelFault || (failure instanceof OrtError && FAULTS_OF_THE_MODEL.includes(failure.code));

function openOn<T>(
  candidate: Candidate,
  api: OrtApi,
  options: EngineOptions,
  publish: Publish,
  use: (opened: Opened) => T,
): T {
  const device = deviceNamed(candidate.device);
  const obstacle = device.obstacle(options.runtimeLibrary, options.candidates.length === 1);
  if (obstacle) throw new DeviceError(device.name, obstacle);
  publish({ kind: 'loading', device: device.name, runtimeVersion: api.version });
  const { halfAttention } = device;
  const { names } = options;
  const model = readModel(candidate.modelFile, { logits: names.logits, halfAttention });
  const { light } = model;
  const declared = light && understood(() => readSignature(light, names));
  const free = device.freeBytes();
  const weightBytes = candidate.weightFiles.reduce((sum, file) => sum + sizeOf(file), 0);
  const planFor = (signature: Signature): MemoryPlan =>
    planMemory(
      needsOf(signature, { device, free, weightBytes, grows: !updatesInPlace(model, names) }, options),
      options,
    );
  const plan = declared && planFor(declared);
  if (plan) publish({ kind: 'memory', device: device.name, plan });
  readWeights(candidate.weightFiles, (read, total, percent) =>
    publish({ kind: 'progress', device: device.name, read, total, percent }),
  );
  const session = Session.open(api, model, device, { names, weightBytes });
  try {
    const loaded = performance.now();
    const reserved = plan ?? planFor(session.signature);
    const warm = warmUp(session, device, reserved, options);
    const left = device.freeBytes();
    const measured = free !== undefined && left !== undefined ? Math.max(0, free - left) : undefined;
    const facts: EngineFacts = {
      runtimeVersion: api.version,
      device: device.name,
      ...warm,
      ...(options.slots === 'auto' && free !== undefined && { availableBytes: free }),
      residentBytes: 0,
      // Where the system does not tell, what was asked of it.
      deviceBytes: device.ownMemory ? (measured ?? reserved.weights + reserved.cache) : 0,
      warmupMs: performance.now() - loaded,
    };
    return use({ session, facts });
  } catch (error) {
    session.close();
    throw error;
  }
}

/** @throws ModelFault for a model that this engine cannot drive. */
function understood<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ModelFault(error instanceof Error ? error.message : String(error));
  }
}

interface Place {
  readonly device: Device;
  readonly free: number | undefined;
  readonly weightBytes: number;
  readonly grows: boolean;
}

function needsOf(signature: Signature, { device, free, weightBytes, grows }: Place, options: EngineOptions): Needs {
  const chunk = chunkOf(signature, options);
  const places = signature.logits.positions ?? (signature.keep ? MOST_DRAFTED + 1 : chunk);
  return {
    device: device.name,
    weights: weightBytes,
    rowBytes: (tokens) => rowBytes(signature, tokens),
    // What a run reads and what it makes of it are both there until it is over.
    spareRows: grows ? 1 : 0,
    logits: (slots) => bytesOf(signature.logits.type, [places + slots, signature.vocabSize]),
    work: device.workBytes,
    free,
  };
}

/** Most prompt tokens of one run. */
function chunkOf({ keep, logits, vocabSize }: Signature, { prefillChunk: asked, context }: EngineOptions): number {
  const most = asked === 'auto' ? context : asked;
  const all = !keep && logits.positions === undefined;
  return prefillChunk(all ? vocabSize * Float32Array.BYTES_PER_ELEMENT : 0, Math.min(most, context));
}

type Warm = Omit<
  EngineFacts,
  'runtimeVersion' | 'device' | 'availableBytes' | 'residentBytes' | 'deviceBytes' | 'warmupMs'
>;

/** Reserves the memory and makes the first runs. */
function warmUp(session: Session, device: Device, plan: MemoryPlan, options: EngineOptions): Warm {
  const { slots, context } = plan;
  const { signature, truncates } = session;
  const chunk = chunkOf(signature, options);
  // A draft and the runs below are of one row too, and may be longer than a chunk that was asked for.
  const keep = MOST_DRAFTED + 1;
  session.reserve({ rows: slots, capacity: context, chunk: Math.max(chunk, keep), keep });
  const trusted = device.name === 'cpu' ? chunk : longestCorrectRun(session, context, chunk);
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
    // What a draft got wrong must be forgotten, and its logits must be had.
    speculation:
      truncates &&
      signature.logits.positions === undefined &&
      (options.speculation === 'on' || (options.speculation === 'auto' && exact)),
    ...(runDifference !== undefined && { runDifference }),
  };
}

function expectCount(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new Error(`${name} must be a whole number, at least ${least}, not ${value}`);
}
