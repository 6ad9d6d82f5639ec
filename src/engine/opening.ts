/**
 * From options to an open session with its memory reserved, and the facts about it that the worker tells.
 */
import type { EngineFacts, EngineOptions, FromEngine } from '../bridge/protocol.ts';
import { MOST_DRAFTED } from './drafts.ts';
import { slotsThatFit } from './kv-cache.ts';
import { loadOrt } from './ort/api.ts';
import { deviceNamed } from './ort/device.ts';
import { Session } from './ort/session.ts';
import { differenceOfRuns } from './rehearsal.ts';
import { prefillChunk } from './runner.ts';

/** Takes what the engine has to say while it opens and after every step. */
export type Publish = (message: Extract<FromEngine, { kind: 'opening' | 'report' }>) => void;

/** Runs that differ by less differ in the order of sums only; the least seen of a quantized model is a thousand times larger. */
const ROUNDING = 1e-4;

/**
 * Loads the runtime, opens the model, reserves the memory of all runs and makes the first two. Nothing is left behind when it throws.
 * @throws OrtError with the runtime's message; Error for options out of range.
 */
export function openSession(options: EngineOptions, publish: Publish): { session: Session; facts: EngineFacts } {
  const began = performance.now();
  expectCount('context', options.context, 2);
  if (options.slots !== 'auto') expectCount('slots', options.slots, 1);
  if (options.prefillChunk !== 'auto') expectCount('prefillChunk', options.prefillChunk, 2);
  const [candidate] = options.candidates;
  if (!candidate) throw new Error('There is no device to try');
  const device = deviceNamed(candidate.device);
  const api = loadOrt(options.runtimeLibrary);
  publish({ kind: 'opening', device: candidate.device, runtimeVersion: api.version });
  const session = Session.open(api, candidate.modelFile, device);
  try {
    const loaded = performance.now();
    const { vocabSize, layers, kvHeads, headDim, keepsLast } = session.signature;
    const most = options.prefillChunk === 'auto' ? options.context : options.prefillChunk;
    const logitsBytes = keepsLast ? 0 : vocabSize * Float32Array.BYTES_PER_ELEMENT;
    const chunk = prefillChunk(logitsBytes, Math.min(most, options.context));
    const rowBytes = session.rowBytes(options.context);
    const available = process.availableMemory();
    const slots = options.slots === 'auto' ? slotsThatFit(rowBytes, available) : options.slots;
    // A draft and the runs below are of one row too, and may be longer than a chunk that was asked for.
    const keep = MOST_DRAFTED + 1;
    session.reserve({ rows: slots, capacity: options.context, chunk: Math.max(chunk, keep), keep });
    const runDifference = differenceOfRuns(session, options.context);
    const facts: EngineFacts = {
      runtimeVersion: api.version,
      device: candidate.device,
      slots,
      ...(options.slots === 'auto' && { availableBytes: available }),
      context: options.context,
      vocabSize,
      layers,
      kvHeads,
      headDim,
      cacheBytes: slots * rowBytes,
      residentBytes: 0,
      deviceBytes: 0,
      prefillChunk: chunk,
      speculation: options.speculation === 'on' || (options.speculation === 'auto' && runDifference < ROUNDING),
      runDifference,
      loadMs: loaded - began,
      warmupMs: performance.now() - loaded,
    };
    return { session, facts };
  } catch (error) {
    session.close();
    throw error;
  }
}

function expectCount(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least)
    throw new Error(`${name} must be a whole number, at least ${least}`);
}
