/**
 * A fleet of 10, 100 and 1 000 workers under routing policies, a loss of 5 % of the workers, and storms of
 * ready callbacks: simulated with the measured service times of one worker. Equal seeds give equal tables:
 * those of docs/scale.md.
 *
 *   npm run bench -- fleet                          all tables
 *   node scripts/run.mjs bench/fleet.ts <part> …    oneWorker, policies, highest, routers, losses, storms
 *   npm run bench -- fleetBase                      measures one worker here, and compares it with the model
 */
import { readFileSync } from 'node:fs';
import { closedLoopTable } from './fleet/closed-loop.ts';
import { compared, type Trace } from './fleet/comparison.ts';
import { quantileOf, type RunFigures } from './fleet/figures.ts';
import { GOAL_MS, highestLoad, hitRate, LIMITS, POLICIES, run, SEED, WARM_UP_MS } from './fleet/plans.ts';
import { leastGreater, type Policy, prefixAffinity, roundRobin } from './fleet/policies.ts';
import { type StormPlan, storm } from './fleet/storm.ts';
import { table, wrapped } from './measure.mjs';

/** Requests per second and worker: low, near the end of the policies without affinity, and beyond it. */
const LOADS = [0.15, 0.3, 0.6];
const SIZES = [10, 100, 1000];

const seconds = (ms: number): string => (Number.isFinite(ms) ? (ms / 1000).toFixed(2) : '–');
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const quantiles = (record: RunFigures, ...shares: number[]): string[] =>
  shares.map((share) => seconds(record.firstToken(share)));

function print(...parts: string[]): void {
  process.stdout.write(`${wrapped(parts.join('\n\n'))}\n\n`);
}

function oneWorker(): void {
  print(
    'One worker under clients that send without a pause: measured (docs/benchmarks.md) / predicted by the model / ratio:',
    closedLoopTable(),
  );
}

function policies(): void {
  for (const workers of SIZES) {
    const rows = POLICIES.map((policy) => {
      const records = LOADS.map((load) => run({ workers, policy, load }));
      const last = records[LOADS.length - 1] as RunFigures;
      const times = records.map((record) => quantiles(record, 0.5, 0.95).join(' / '));
      return [policy.name, ...times, last.tokensPerSecond.toFixed(0), percent(hitRate(last))];
    });
    const figures = ['tokens/s', 'prompt tokens cached'].map((name) => `${name} at ${LOADS.at(-1)}`);
    print(
      `${workers} workers, p50 / p95 of the time to first token in seconds at ${LOADS.join(', ')} requests per second and worker:`,
      table(['policy', ...LOADS.map(String), ...figures], rows),
    );
  }
}

function highest(): void {
  const rows = POLICIES.map((policy) => [
    policy.name,
    ...[10, 100].map((workers) => highestLoad({ workers, policy, countedMs: 6_000_000 / workers }).toFixed(2)),
  ]);
  print(
    `Highest load, requests per second and worker, with a p95 of the first token of at most ${GOAL_MS / 1000} s and no refusal:`,
    table(['policy', '10 workers', '100 workers'], rows),
  );
}

function routers(): void {
  const sides: readonly Policy[] = [leastGreater(50), leastGreater(1000), leastGreater(5000)];
  const rows = [1, 4, 16].flatMap((count) =>
    sides.map((policy) => [
      String(count),
      policy.name,
      ...quantiles(run({ workers: 100, policy, load: 0.25, routers: count }), 0.5, 0.95, 0.99),
    ]),
  );
  print(
    'Several routers, each with its own counts; 100 workers, 0.25 requests per second and worker:',
    table(['routers', 'policy', 'first token p50, s', 'p95, s', 'p99, s'], rows),
  );
}

const KILLED = { at: 40_000, share: 0.05, probeMs: 0, streamMs: 250, replacedMs: 5000 };
const GONE = { ...KILLED, probeMs: 730, streamMs: 10_000, replacedMs: 60_000 };

function losses(): void {
  const cases = [
    ['killed, replaced after 5 s', KILLED],
    ['machine gone, replaced after 60 s', GONE],
  ] as const;
  const rows = cases.flatMap(([name, loss]) =>
    [roundRobin, leastGreater(1000), prefixAffinity(LIMITS.slots)].map((policy) => {
      const record = run({ workers: 1000, policy, load: 0.3, loss, countedMs: 120_000 });
      const at = WARM_UP_MS + loss.at;
      const before = record.firstToken(0.95, at - 40_000, at);
      const after = record.firstToken(0.95, at, at + 30_000);
      return [
        name,
        policy.name,
        String(record.counted.lost),
        String(record.counted.refused),
        [0.5, 0.95, 1].map((q) => seconds(quantileOf(record.silences, q))).join(' / '),
        String(record.recomputed),
        `${seconds(before)} / ${seconds(after)}`,
        recovery(record, at, before),
      ];
    }),
  );
  print(
    'A loss of 5 % of 1 000 workers, 0.3 requests per second and worker:',
    table(
      [
        'loss',
        'policy',
        'interrupted',
        'refused',
        'silence p50 / p95 / longest, s',
        'tokens computed again',
        'p95 of the first token, 40 s before / 30 s after, s',
        'recovered after, s',
      ],
      rows,
    ),
  );
}

/**
 * Seconds until the p95 of the requests of ten seconds is at most 1.25 times that before, for the rest of the
 * run.
 */
function recovery(record: RunFigures, at: number, before: number): string {
  const windows = Array.from({ length: 8 }, (_, index) => index * 10_000);
  const slow = windows.filter((from) => record.firstToken(0.95, at + from, at + from + 10_000) > 1.25 * before);
  return String(((slow.at(-1) ?? -10_000) + 10_000) / 1000);
}

function storms(): void {
  const base = { seed: SEED, awayMs: 0 };
  const cases: readonly (readonly [string, Omit<StormPlan, 'workers' | 'rate'>])[] = [
    ['all ready at once', base],
    ['all ready at once, without spread and jitter', { ...base, jitter: false }],
    ['all ready at once, receiver away for 30 s', { ...base, awayMs: 30_000 }],
    ['all ready at once, receiver away for 300 s', { ...base, awayMs: 300_000 }],
  ];
  const rows = cases.flatMap(([name, plan]) =>
    [1000, 10_000].flatMap((workers) =>
      [50, 200, 1000, 3000].map((rate) => {
        const { attempts, late, peak, knownMs, acceptedMs, gaveUp } = storm({ ...plan, workers, rate });
        const counts = [workers, rate, attempts, late, peak].map(String);
        return [name, ...counts, seconds(knownMs), seconds(acceptedMs), String(gaveUp)];
      }),
    ),
  );
  print(
    'Storms of ready callbacks:',
    table(
      [
        'storm',
        'workers',
        'receiver, callbacks/s',
        'attempts',
        'answered too late',
        'most in one second',
        'all known after, s',
        'all accepted after, s',
        'gave up',
      ],
      rows,
    ),
  );
}

const PARTS = { oneWorker, policies, highest, routers, losses, storms };

const names = process.argv.slice(2);
const [first, file = ''] = names;
const unknown = names.filter((name) => !(name in PARTS));
if (first !== '--trace' && unknown.length > 0) {
  print(`${unknown.join(', ')}: allowed are ${Object.keys(PARTS).join(', ')}, or --trace FILE.`);
  process.exitCode = 2;
} else if (first === '--trace') print(...compared(JSON.parse(readFileSync(file, 'utf8')) as Trace));
else for (const [part, write] of Object.entries(PARTS)) if (names.length === 0 || names.includes(part)) write();
