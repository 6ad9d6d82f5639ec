/**
 * What the routes work with: handed to them by the composition root, so that they can be tested with any part replaced.
 */
import type { EngineClient } from '../bridge/client.ts';
import type { Config } from '../config.ts';
import type { WorkerState } from '../lifecycle/state.ts';
import type { LoadedModel } from '../model/load-model.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { JobRegistry } from './jobs.ts';

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
