/** The part of docs/reliability.md about streams that survive: counts of faults, and of what they cost. */
import { table } from '../../../bench/measure.mjs';
import type { Invariant, Ledger } from '../ledger.ts';
import { thousands } from '../thousands.ts';
import type { ContinuationsResult } from './continuations.ts';
import type { EngineKillsResult } from './engine-kills.ts';
import type { StormResult } from './storm.ts';
import type { WorkerKillsResult } from './worker-kills.ts';

export interface Survival {
  readonly engines: EngineKillsResult;
  readonly workers: WorkerKillsResult;
  readonly storms: readonly StormResult[];
  readonly continuations: ContinuationsResult;
}

/** Violations that show a wrong text, and those that show a stream without its end. */
const WRONG: readonly Invariant[] = ['text', 'figures'];
const LOST: readonly Invariant[] = ['survives', 'terminal', 'explained', 'whole'];
const count = (ledger: Ledger, names: readonly Invariant[]): number =>
  names.reduce((sum, name) => sum + (ledger.broken.get(name) ?? 0), 0);
export const wrongTexts = (ledger: Ledger): number => count(ledger, WRONG);
export const lostStreams = (ledger: Ledger): number => count(ledger, LOST);

/** All kills of engines, in every part of the soak. */
export const engineKills = ({ faults }: Ledger): number =>
  [...faults].reduce((sum, [name, times]) => sum + (/^kills of the engine/.test(name) ? times : 0), 0);

/** The rows of the goals: what, goal, measured, reached. */
export function survivalGoals({ workers, storms }: Survival, ledger: Ledger): [string, string, string, boolean][] {
  const [wrong, lost] = [wrongTexts(ledger), lostStreams(ledger)];
  const over = ledger.broken.get('budget') ?? 0;
  const samples = storms.reduce((sum, storm) => sum + storm.samples, 0);
  const kills = `${thousands(engineKills(ledger))} kills of engines and ${workers.kills} of workers`;
  return [
    [`wrong texts, in ${thousands(ledger.requests)} requests with ${kills}`, '0', thousands(wrong), wrong === 0],
    ['lost streams in these requests', '0', thousands(lost), lost === 0],
    [
      `readings of the memory of the cache above its budget, of ${thousands(samples)}`,
      '0',
      thousands(over),
      over === 0 && samples > 0,
    ],
  ];
}

export function survivalPart({ engines, workers, storms, continuations }: Survival, ledger: Ledger): string {
  const sum = (of: (storm: StormResult) => number): number => storms.reduce((total, storm) => total + of(storm), 0);
  const most = (of: (storm: StormResult) => number): number => Math.max(0, ...storms.map(of));
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(2);
  const rows: [string, string | number][] = [
    ['kills of engines, in all parts', engineKills(ledger)],
    [`of these under prompts of ${engines.prompt.map(thousands).join(' to ')} tokens`, engines.kills],
    ['outputs that these interrupted', engines.interrupted],
    ['outputs that went on, each time', engines.resumed],
    ['kills of workers behind the orchestrator', workers.kills],
    ['requests of its sixteen users', workers.requests],
    ['outputs that went on on the other worker', workers.continued],
    [`requests of ${storms.length} preemption storms`, sum(({ requests }) => requests)],
    ['preempted outputs', sum(({ preemptions }) => preemptions)],
    ['prefixes and outputs that gave up their memory', sum(({ evictions }) => evictions)],
    [
      'memory of the cache: most, and budget, MiB',
      `${mebibytes(most(({ peak }) => peak))} of ${mebibytes(most(({ budget }) => budget))}`,
    ],
    ['outputs that were continued by their ids', continuations.outputs],
    ['cuts of these, each at a random event', continuations.cuts],
    ['outputs that a drain ended, and the other worker continued', continuations.drained],
    ['wrong texts', wrongTexts(ledger)],
    ['lost streams', lostStreams(ledger)],
  ];
  return `## Streams that survive

Every output is compared with the same output alone: its text, its counts and its stop reason. The requests are of nine
kinds: greedy, seeded, with penalties, filters, a bias, log-probabilities, stop strings, and two schemas.

- Engines: a copy of the embedded model for longer contexts, eight streams on six slots, SIGKILL at a random event. A
  worker restarts its engine twice in ten minutes, so that each worker takes two kills.
- Workers: the orchestrator and the pool-manager of \`examples/fleet/\`, two workers, sixteen users that read without a
  pause, SIGKILL of one worker at a random event.
- Storms: sixteen slots, and memory for two full outputs (\`--cache-memory 2\`), 24 clients, one kill of the engine.
- Continuations: the client leaves after a random event, up to three times for each output, and sends \`resume\` to one of
  two workers. At the end one of them drains in the middle of its streams.

${table(
  ['what', 'times'],
  rows.map(([what, times]) => [what, typeof times === 'number' ? thousands(times) : times]),
)}`;
}
