/** Writes docs/reliability.md: the parts of a soak and its results, in text and tables. */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { quantile, spread, table, wrapped } from '../../bench/measure.mjs';
import type { AttackResult } from './attack.ts';
import type { KillResult } from './engine-kill.ts';
import { INVARIANTS, type Ledger } from './ledger.ts';
import type { LoadResult } from './load.ts';
import type { ProbeResult } from './probes.ts';
import { ATTACKS, PROBE_MS, type SiegeResult } from './siege.ts';
import { type Survival, survivalGoals, survivalPart } from './survival/page.ts';
import { thousands } from './thousands.ts';

export interface Results {
  readonly seed: number;
  readonly minutes: number;
  readonly lives: number;
  readonly ledger: Ledger;
  readonly load: LoadResult;
  readonly attack: AttackResult;
  readonly kills: readonly KillResult[];
  readonly probes: readonly ProbeResult[];
  readonly sieges: readonly SiegeResult[];
  readonly survival: Survival;
}

/** Bytes per request below which a slope counts as flat. One leaked line of a log would be more. */
const FLAT = 200;

const counted = (counts: ReadonlyMap<string, number>): string[][] =>
  [...counts].toSorted(([, a], [, b]) => b - a).map(([what, count]) => [what, thousands(count)]);
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

/** The whole page. */
export function page(results: Results): string {
  const { seed, minutes, ledger, lives } = results;
  const machine = `${availableParallelism()} cores of ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const checks = [...ledger.checks].map(([name, times]) => [INVARIANTS[name], thousands(times)]);
  const violations =
    ledger.violations.length === 0
      ? `None, in ${thousands(ledger.requests)} requests and ${lives} lives of a worker.`
      : ledger.violations.map((text) => `- ${text}`).join('\n');
  return wrapped(`# Reliability

Written by \`npm run soak\` on ${new Date().toISOString().slice(0, 10)}: ${machine}, Node ${process.versions.node}, the embedded model. It took ${minutes.toFixed(0)} minutes on a machine
that other work shares (load average of the last 15 minutes at the end: ${loadavg()[2]?.toFixed(1)}). That load affects
times, and does not affect counts.

All random choices come from seed ${seed}: \`npm run soak -- --seed ${seed}\` draws the same clients, faults and malformed requests. \`--requests\`, \`--malformed\`, \`--engine-kills\`,
\`--worker-kills\`, \`--storms\`, \`--continuations\` and \`--minutes\` (of the lives under attack) make a run shorter or longer. Only a run of the usual length writes this page. A violation is printed with the seed and the plan of its client. A short form
of its parts runs with every \`npm test\` (\`test/e2e/engine/survival.test.ts\`, \`test/e2e/api/malformed.test.ts\`) or with \`npm run test:long\` (\`test/e2e/api/fuzz.long.test.ts\`).

## Violations: ${ledger.violations.length}

${violations}

${table(['invariant', 'checks'], checks)}

## Requests and faults

${table(['how requests ended', 'times'], counted(ledger.ends))}

${table(['fault', 'times'], counted(ledger.faults))}

"Connection refused": the client connected after SIGTERM had closed the server. "Not read to the end": the client had
left, and the worker stopped before it could return.

## Goals

${goals(results)}

${memory(results.load)}

${malformed(results.attack)}

${survivalPart(results.survival, ledger)}

${lostEngine(results.kills)}

${probes(results.probes)}
${sieges(results.sieges)}`);
}

function goals({ load, attack, kills, probes, sieges: attacks, survival, ledger }: Results): string {
  const silence = Math.max(...kills.map(({ silenceMs, restartMs }) => silenceMs - restartMs));
  const recovered = Math.max(...kills.map(({ recoveredMs }) => recoveredMs));
  // The dialects answer 504 to a request whose own deadline passes; the judge checks this cause.
  const errors = [...attack.statuses]
    .filter(([status]) => status.startsWith('5') && status !== '504')
    .reduce((sum, [, times]) => sum + times, 0);
  const p99 = (name: string): number =>
    quantile([...(probes.find(({ clients }) => clients === 64)?.took[name] ?? [])], 0.99);
  const worst = Math.max(...attacks.map(({ took }) => quantile([...(took['health'] ?? [])], 0.99)));
  const row = (what: string, wanted: string, figure: string, reached: boolean): string[] => [
    what,
    wanted,
    figure,
    reached ? 'yes' : '**no**',
  ];
  return table(
    ['what', 'goal', 'measured', 'reached'],
    [
      ...survivalGoals(survival, ledger).map((goal) => row(...goal)),
      row(
        'engine killed under 16 streams: longest silence of a stream beyond the restart, worst round',
        '≤ 1 000 ms',
        `${silence.toFixed(0)} ms`,
        silence <= 1000,
      ),
      row(
        'engine killed under 16 streams: until a new request has succeeded, worst round',
        '≤ 3 000 ms',
        `${recovered.toFixed(0)} ms`,
        recovered <= 3000,
      ),
      row(
        'exit code of a SIGTERM after that',
        '0',
        [...new Set(kills.map(({ exitCode }) => exitCode))].join(', '),
        kills.every(({ exitCode }) => exitCode === 0),
      ),
      row(
        `5xx to ${thousands(attack.requests)} malformed requests, besides 504 for their own deadlines`,
        '0',
        String(errors),
        errors === 0,
      ),
      row('p99 of `/health`, 64 clients', '< 20 ms', `${p99('health').toFixed(1)} ms`, p99('health') < 20),
      row('p99 of `/metrics`, 64 clients', '< 20 ms', `${p99('metrics').toFixed(1)} ms`, p99('metrics') < 20),
      row(
        'p99 of `/health` in the middle of an attack, worst attack',
        `≤ ${PROBE_MS} ms`,
        `${worst.toFixed(1)} ms`,
        worst <= PROBE_MS,
      ),
      row(
        'growth of the heap of the worker over the load, last half',
        'flat',
        `${load.slope.heap.toFixed(0)} bytes per request`,
        load.slope.heap < FLAT,
      ),
    ],
  );
}

function memory({ requests, aborted, seconds, samples, slope }: LoadResult): string {
  const row = (name: string, values: readonly number[], grown: number): string[] => {
    const half = values.slice(values.length / 2).map((bytes) => bytes / 2 ** 20);
    return [name, mebibytes(values[0] ?? 0), spread(half), mebibytes(values.at(-1) ?? 0), grown.toFixed(0)];
  };
  const files = samples.map((usage) => usage.files);
  return `## Memory over ${thousands(requests)} requests

${thousands(requests)} requests, 8 at a time, of 1 to 12 tokens. ${thousands(aborted)} are abandoned half-way. Each stream is read a second time from
its log, so there are twice as many answers. It took ${(seconds / 60).toFixed(1)} minutes. Memory is in MiB, at ${samples.length} moments at which no request
ran, all logs had been dropped and garbage had been collected: without a forced collection V8 leaves some hundred MiB of
garbage where the machine has the memory. The slope is of a straight line through the last half.

${table(
  ['what', 'before', 'last half: median (lowest … highest)', 'at the end', 'slope, bytes per request'],
  [
    row(
      'worker, heap',
      samples.map((usage) => usage.heap),
      slope.heap,
    ),
    row(
      'worker, resident',
      samples.map((usage) => usage.worker),
      slope.worker,
    ),
    row(
      'engine, resident',
      samples.map((usage) => usage.engine),
      slope.engine,
    ),
  ],
)}

Open files of the worker: ${files[0]} before, at most ${Math.max(...files)}, and at the end no more than before.`;
}

function malformed({ requests, statuses, memory: bytes, slope }: AttackResult): string {
  return `## Malformed requests

${thousands(requests)} on raw sockets, 16 at a time: random bytes, random JSON, random headers, and requests that stop half-way. Half of them
go to the routes of the dialects (\`/v1/…\`, \`/tokenize\`, \`/detokenize\`, \`/tokenizer_info\`): wrong values in any field, and
small valid requests, whose documents and streams are judged too.

${table(['status', 'times'], counted(statuses))}

"none": an incomplete request, on a connection that its sender closed. Heap of the worker, after garbage collection:
${mebibytes(bytes[0] ?? 0)} MiB after the first 500, ${mebibytes(bytes.at(-1) ?? 0)} MiB after the last; slope of the last
half ${slope.toFixed(0)} bytes per request. Neither the worker nor its engine restarted.`;
}

function lostEngine(kills: readonly KillResult[]): string {
  return `## Time to recover from a killed engine

SIGKILL while sixteen streams decode, ${kills.length} times, each on a worker of its own. The next engine continues the
streams: all of them end, with the text of an undisturbed one. Milliseconds as clients measure them: median
(lowest … highest).

${table(
  ['what', 'ms'],
  [
    [
      'until the next engine is open',
      spread(
        kills.map(({ restartMs }) => restartMs),
        0,
      ),
    ],
    [
      'longest time between two events of a stream',
      spread(
        kills.map(({ silenceMs }) => silenceMs),
        0,
      ),
    ],
    [
      'until a request, sent every 10 ms, has its `end`',
      spread(
        kills.map(({ recoveredMs }) => recoveredMs),
        0,
      ),
    ],
  ],
)}

Meanwhile \`/metrics\` answers with all series ([metrics.md](metrics.md)), and the trace of a request has the time as its
child \`interruption\` ([traces.md](traces.md#the-spans)). [metrics.md](metrics.md#prometheus) lists the alerts that fire.
[deploy.md](deploy.md) has the loss of a worker behind a load balancer and in a cluster.`;
}

function probes(results: readonly ProbeResult[]): string {
  const rows = results.flatMap(({ clients, took }) =>
    Object.entries(took).map(([name, ms]) => [
      String(clients),
      name === 'empty' ? 'an empty server' : `\`/${name}\``,
      String(ms.length),
      ...[0.5, 0.95, 0.99].map((share) => quantile([...ms], share).toFixed(1)),
    ]),
  );
  return `## Probes under load

Clients that stream without a pause, 16 slots, and one probe that requests \`/health\`, \`/metrics\` and an empty server in
turn. Clients, probe, worker and engine are processes of their own on the same cores. The engine is 5 nicer than the
others ([decision 16](decisions/0016-the-engine-goes-second.md)). The time of the empty server is the wait for a core.

${table(['clients', 'server', 'requests', 'p50 ms', 'p95 ms', 'p99 ms'], rows)}
`;
}

function sieges(results: readonly SiegeResult[]): string {
  const rows = results.map(({ attack, attempts, requests, took }) => [
    ATTACKS[attack].description,
    thousands(attempts),
    thousands(requests),
    ...['health', 'new', 'empty'].map((name) =>
      [0.5, 0.99].map((share) => quantile([...(took[name] ?? [])], share).toFixed(1)).join(' / '),
    ),
  ]);
  return `## Probes under attack

One attack at a time, for ten seconds, beside four clients that stream and whose texts are compared. Attackers run with
the lowest priority: an attacker on another machine does not take processor time from the worker. Milliseconds: p50 / p99.

${table(['attack', 'attempts', 'requests of the load', '`/health`', '`/live` on a new connection', 'an empty server'], rows)}
`;
}
