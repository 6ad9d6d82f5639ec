/** The values that a scrape reads from the parts of the worker. */
import type { EngineClient } from '../../bridge/client.ts';
import type { Config } from '../../config/config.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import type { LoadedModel } from '../../lifecycle/load-model.ts';
import type { WorkerState } from '../../lifecycle/state.ts';
import { linesLost } from '../../narration/narrate.ts';
import { memoryLimitBytes } from '../../protocol/host/memory-limit.ts';
import type { Gauges } from '../../telemetry/gauges.ts';
import { MAX_SCRAPE_READING_MS, type MemoryFigure } from '../../telemetry/memory-figure.ts';
import { cacheFigures } from './cache-figures.ts';

/** The limit of the memory is read again after this many milliseconds. */
const LIMIT_MS = 10_000;

interface GaugeParts {
  readonly config: Pick<Config, 'queue'>;
  readonly engine: EngineClient;
  readonly state: WorkerState;
  readonly jobs: JobRegistry;
  readonly memory: MemoryFigure;
  /** Undefined until the model is loaded. */
  readonly model: () => LoadedModel | undefined;
}

export function gaugesOf({ config, engine, state, jobs, memory, model }: GaugeParts): Gauges {
  return {
    running: () => engine.occupancy.busy,
    waiting: () => engine.occupancy.waiting,
    slots: () => model()?.facts.slots ?? 0,
    queueLimit: () => config.queue,
    cache: () => cacheFigures(engine, model()?.facts),
    vramBytes: () => model()?.facts.deviceBytes ?? 0,
    memoryBytes: () => memory.read(MAX_SCRAPE_READING_MS),
    memoryLimitBytes: kept(LIMIT_MS, memoryLimitBytes),
    logBytes: () => jobs.logBytes,
    uptimeSeconds: () => state.uptimeSeconds,
    engineOpen: () => engine.open,
    engineStalled: () => state.stalled,
    heartbeatAgeSeconds: () => (engine.heartbeatAgeMs === undefined ? undefined : engine.heartbeatAgeMs / 1000),
    linesLost,
  };
}

/** Reads a value, and keeps it for `ms` milliseconds. */
function kept(ms: number, read: () => number): () => number {
  let [value, at] = [0, Number.NEGATIVE_INFINITY];
  return () => {
    const now = performance.now();
    if (now - at >= ms) [value, at] = [read(), now];
    return value;
  };
}
