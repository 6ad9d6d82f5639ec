/** The figures of the KV cache for metrics. */
import type { EngineClient } from '../../bridge/client.ts';
import type { EngineFacts } from '../../protocol/loading.ts';
import type { CacheFigures } from '../../telemetry/gauges.ts';

/** @param facts absent before the model is open */
export function cacheFigures(
  { occupancy, cache }: Pick<EngineClient, 'occupancy' | 'cache'>,
  facts: Pick<EngineFacts, 'cacheBytesPerToken' | 'cacheBudgetBytes'> | undefined,
): CacheFigures {
  const { usedBytes, evictions } = cache;
  if (!facts) return { usage: 0, usedBytes, budgetBytes: 0, budgetTokens: 0, evictions };
  const { cacheBytesPerToken, cacheBudgetBytes: budgetBytes } = facts;
  const usage = Math.min(1, (occupancy.tokens * cacheBytesPerToken) / budgetBytes);
  const budgetTokens = Math.floor(budgetBytes / cacheBytesPerToken);
  return { usage, usedBytes, budgetBytes, budgetTokens, evictions };
}
