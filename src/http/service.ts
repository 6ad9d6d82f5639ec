/**
 * What the routes work with: handed to them by the composition root, so that they can be tested with any part replaced.
 */
import type { EngineClient } from '../bridge/client.ts';
import type { Config } from '../config/config.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { LoadedModel } from '../lifecycle/load-model.ts';
import type { WorkerState } from '../lifecycle/state.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface Service {
  readonly config: Config;
  readonly version: string;
  readonly state: WorkerState;
  readonly jobs: JobRegistry;
  readonly engine: Pick<EngineClient, 'submit' | 'occupancy' | 'slotFreeMs' | 'heartbeatAgeMs'>;
  readonly metrics: Metrics;
  /** Undefined until the model is loaded. */
  readonly model: () => LoadedModel | undefined;
  /** Asks the worker to drain and stop. */
  readonly shutdown: (reason: string) => void;
}
