/** The parts of the soak about streams that survive. A number of 0 leaves most of a part out. */
import type { Ledger } from '../ledger.ts';
import { continueOutputs } from './continuations.ts';
import { killEngines } from './engine-kills.ts';
import type { Survival } from './page.ts';
import { type StormResult, storm } from './storm.ts';
import { killWorkers } from './worker-kills.ts';

/** Requests of one storm. */
const STORM_REQUESTS = 600;

export interface SurvivalOptions {
  readonly seed: number;
  readonly engineKills: number;
  readonly workerKills: number;
  readonly storms: number;
  readonly continuations: number;
}

/** Runs all parts, one after the other. `say` reports the progress. */
export async function survive(
  options: SurvivalOptions,
  ledger: Ledger,
  say: (text: string) => void,
): Promise<Survival> {
  const { seed } = options;
  const continuations = await continueOutputs(options.continuations, seed, ledger);
  say(`continued ${continuations.outputs} outputs after ${continuations.cuts} cuts`);
  const storms: StormResult[] = [];
  while (storms.length < options.storms) {
    const result = await storm(STORM_REQUESTS, seed + storms.length, ledger);
    storms.push(result);
    say(`storm ${storms.length}: ${result.preemptions} preemptions`);
  }
  const workers = await killWorkers(options.workerKills, seed, ledger);
  say(`killed ${workers.kills} workers, ${workers.continued} outputs went on on the other one`);
  const engines = await killEngines(options.engineKills, seed, ledger);
  say(`killed ${engines.kills} engines, ${engines.interrupted} outputs were interrupted`);
  return { engines, workers, storms, continuations };
}
