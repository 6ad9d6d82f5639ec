/** Makes the KV cache of a session, by the way in which it takes memory and by the memory of the device. */
import type { Device, MemoryUse } from '../../devices/device.ts';
import type { Pointer } from '../../ffi.ts';
import { CacheGrowing } from './growing.ts';
import type { CacheGrowth } from './growth.ts';
import { CacheInBatch } from './in-batch.ts';
import { CacheInPlace } from './in-place.ts';
import { CacheInRows } from './in-rows.ts';
import type { CacheMemory, FixedCache, InPlaceParts } from './memory.ts';
import { RowCopier } from './row-copier.ts';
import { RowMover } from './row-mover.ts';

interface CacheParts extends InPlaceParts {
  readonly env: Pointer;
  readonly device: Device;
  readonly use: MemoryUse;
  readonly growth: CacheGrowth;
}

export interface MadeCache {
  readonly cache: CacheMemory;
  /** The same cache, if its tensors keep their addresses. */
  readonly fixed?: FixedCache;
}

/** Makes the cache. It allocates nothing before `reserve`. */
export function cacheFor({ env, device, use, growth, ...parts }: CacheParts): MadeCache {
  const copiesRows = !device.ownMemory;
  // The copies are runs of their own, which are not recorded.
  const copying = { ...parts, env, device, use: { ...use, gpuGraph: 'off' as const } };
  if (growth === 'runs') return { cache: new CacheGrowing({ ...parts, copiesRows }) };
  if (growth === 'doubling') return { cache: new CacheInRows({ ...parts, copier: new RowCopier(copying) }) };
  if (device.rowViews) return fixed(new CacheInPlace({ ...parts, copiesRows, growth }));
  return fixed(new CacheInBatch({ ...parts, moverFor: (all, one) => new RowMover(copying, all, one) }));
}

const fixed = (cache: FixedCache): MadeCache => ({ cache, fixed: cache });
