/**
 * The memory of the weights of a model on a device, and the options of the runtime that belong to it: weights
 * that engines share, copies in the runtime's own order, or weights in the order of their files.
 */
import type { Pointer } from '../ffi.ts';
import type { needsOf } from '../load/needs.ts';
import { PROMPT_LENGTH } from '../load/numeric-check.ts';
import { type PlanTarget, planReserved } from '../load/reserved-plan.ts';
import type { OrtApi } from '../ort/api.ts';
import { LEAST_SAVED_BYTES, type Matrices } from './eligible-graph.ts';
import type { SharedWeights, ShareTarget } from './share-weights.ts';

/**
 * Copies may take this part of the free memory. Otherwise the engine computes with the weights in the order
 * of their files, which all engines share. Measured: a step then takes 1.35 times as long with one sequence,
 * and 1.45 times with sixteen.
 */
const COPY_SHARE = 1 / 4;
const ALL_OPTIMIZED = 0;

/** How an engine has the weights of a model. Sizes in bytes, as in `Needs`. */
export interface WeightsMemory {
  readonly weightBytes: number;
  readonly copied: number;
  readonly opening: number;
  readonly configure?: (api: OrtApi, sessionOptions: Pointer) => void;
}

/**
 * The memory of weights that are not shared.
 * @param matrices undefined for a model whose weights the runtime does not copy, or of which too little is
 * known
 * @param free free memory; undefined if the system does not report it
 */
export function ownWeights(fileBytes: number, matrices: Matrices | undefined, free: number | undefined): WeightsMemory {
  const files = { weightBytes: fileBytes, copied: 0, opening: 0 };
  if (!matrices || matrices.bytes < LEAST_SAVED_BYTES) return files;
  if (matrices.areFull && free !== undefined && matrices.bytes > free * COPY_SHARE)
    return {
      ...files,
      configure: (api, options) => api.addSessionConfigEntry(options, 'session.disable_prepacking', '1'),
    };
  return { ...files, weightBytes: Math.max(fileBytes, matrices.bytes + matrices.tables), copied: matrices.bytes };
}

/** The memory of weights that engines share. The graph was optimized when it was saved. */
export const mappedWeights = ({ mappedBytes, openingBytes }: SharedWeights): WeightsMemory => ({
  weightBytes: mappedBytes,
  copied: 0,
  opening: openingBytes,
  configure: (api, options) => api.setGraphOptimizationLevel(options, ALL_OPTIMIZED),
});

/** Reserves memory for saving weights, with a cache for one short prompt. */
export function reserveSaving(needs: ReturnType<typeof needsOf>, target: PlanTarget): ShareTarget['reserve'] {
  const requested = { slots: 1, context: PROMPT_LENGTH, cacheMemory: Number.MAX_SAFE_INTEGER } as const;
  return (bytes) => {
    const own = { ...needs, weights: bytes, copied: bytes, opening: 0 };
    return planReserved(own, { ...target, requested }).release;
  };
}
