/**
 * Metrics of this process from prom-client: the only importer of the package, which a worker loads at its
 * first scrape.
 */
import garbageCollections from 'prom-client/lib/metrics/gc.js';
import heapSpaces from 'prom-client/lib/metrics/heapSpacesSizeAndUsed.js';
import activeHandles from 'prom-client/lib/metrics/processHandles.js';
import activeRequests from 'prom-client/lib/metrics/processRequests.js';
import activeResources from 'prom-client/lib/metrics/processResources.js';
import version from 'prom-client/lib/metrics/version.js';
import Registry from 'prom-client/lib/registry.js';

const REGISTERED = [activeResources, activeHandles, activeRequests, heapSpaces, version, garbageCollections];

/** Starts the metrics. Returns the function that reads their text. */
export function packageMetrics(): () => Promise<string> {
  const registry = new Registry();
  for (const register of REGISTERED) register(registry);
  return () => registry.metrics();
}
