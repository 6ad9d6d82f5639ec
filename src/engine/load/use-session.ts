/**
 * Uses an open session: reserves the memory of its runs, checks its numbers, and collects the facts for the
 * worker.
 */
import { CPU, isCpu } from '../../protocol/devices.ts';
import type { EngineFacts, EngineOptions, LoadEvent } from '../../protocol/loading.ts';
import type { MemoryPlan } from '../../protocol/memory-plan.ts';
import type { FromEngine } from '../../protocol/messages.ts';
import type { ThreadCount } from '../../protocol/threads.ts';
import type { ConversionFacts } from '../conversion/graph-candidate.ts';
import type { Device } from '../devices/device.ts';
import { MAX_DRAFT } from '../drafts/prompt-lookup.ts';
import type { OrtApi } from '../ort/api.ts';
import { type GraphCandidate, weightBytesOn } from '../ort/built-model.ts';
import type { Session } from '../ort/session.ts';
import { rowBytes } from '../ort/signature.ts';
import type { SharedWeights } from '../prepared/share-weights.ts';
import { requireLogits } from '../prepared/shared-logits.ts';
import { type CpuCheck, compareWithCpu } from './cpu-check.ts';
import { type GpuMode, gpuModeFacts } from './gpu/gpu-mode.ts';
import { checkSteps } from './gpu/step-check.ts';
import { chunkOf } from './needs.ts';
import { logitsOfPrompt, longestCorrectRun, roundingBetweenRuns } from './numeric-check.ts';
import { reserveCache } from './reserve-cache.ts';
import type { ReservedPlan } from './reserved-plan.ts';

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

/** The inputs of an attempt to open the model on one device. */
export interface Loading {
  readonly api: OrtApi;
  readonly options: EngineOptions;
  readonly publish: Publish;
}

/** An open session, and what is known about it. */
export interface Attempt {
  readonly candidate: GraphCandidate;
  readonly conversion: ConversionFacts;
  readonly loading: Loading;
  readonly device: Device;
  readonly gpuMode: GpuMode;
  /** Free bytes before the load. */
  readonly free: number | undefined;
  readonly threads: ThreadCount;
  readonly planOf: () => ReservedPlan;
  /** The saved weights that the session maps; absent = it has copies. */
  readonly shared?: SharedWeights;
  /** When the session was open, on performance.now()'s clock. */
  readonly began: number;
}

/** Reserves the memory of the session, runs it, and collects the facts. Closes the session if it throws. */
export function useSession<T>(session: Session, attempt: Attempt, use: (opened: Opened) => T): T {
  const { candidate, conversion, loading, device, gpuMode, free, threads, planOf, began, shared } = attempt;
  const { api, options, publish } = loading;
  let reserved: ReservedPlan | undefined;
  try {
    reserved = planOf();
    const { plan } = reserved;
    const warm = warmUp(session, device, plan, { options, shared });
    if (shared) {
      shared.prove();
      publish({ kind: 'weights', device: device.name, progress: { state: 'mapped', bytes: shared.mappedBytes } });
    }
    const weightBytes = weightBytesOn(CPU, candidate, options.context);
    // After the longest run: CUDA reads a buffer in recorded runs that a longer run would allocate again.
    checkSteps(session, warm.context, gpuMode.mode);
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
      ...conversion,
      ...gpuModeFacts(options.gpuGraph ?? 'off', device, gpuMode),
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

type WarmUpFacts = Omit<
  EngineFacts,
  | 'runtimeVersion'
  | 'device'
  | 'threads'
  | 'idLimit'
  | keyof ConversionFacts
  | 'availableBytes'
  | 'residentBytes'
  | 'deviceBytes'
  | 'gpuGraph'
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
function warmUp(
  session: Session,
  device: Device,
  plan: MemoryPlan,
  { options, shared }: { readonly options: EngineOptions; readonly shared: SharedWeights | undefined },
): WarmUpFacts {
  const { signature, truncates } = session;
  const chunk = chunkOf(signature, options);
  // Drafts and the checks below are also runs of one row, and may be longer than the requested chunk.
  const keep = MAX_DRAFT + 1;
  const { slots, rows, context } = reserveCache(session, plan, { chunk: Math.max(chunk, keep), keep });
  const trusted = isCpu(device.name) ? chunk : longestCorrectRun(session, context, chunk);
  const inspect = (logits: Float32Array): void => {
    if (shared) requireLogits(logits, shared.logits);
  };
  const runDifference = truncates ? roundingBetweenRuns(session, context, inspect) : undefined;
  if (shared && !truncates) inspect(logitsOfPrompt(session, context));
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
