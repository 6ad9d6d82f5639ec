/** Writes docs/reliability.md: the parts of a soak and its results, in text and tables. */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { quantile, spread, table } from '../../bench/measure.mjs';
import type { AttackResult } from './attack.ts';
import type { KillResult } from './engine-kill.ts';
import { INVARIANTS, type Ledger } from './ledger.ts';
import type { LoadResult } from './load.ts';
import type { ProbeResult } from './probes.ts';

export interface Results {
  readonly seed: number;
  readonly minutes: number;
  readonly lives: number;
  readonly ledger: Ledger;
  readonly load: LoadResult;
  readonly attack: AttackResult;
  readonly kills: readonly KillResult[];
  readonly probes: readonly ProbeResult[];
}

/** Bytes per request below which a slope is flat: one kept line of a log would be more. */
const FLAT = 200;

const thousands = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
const counted = (counts: ReadonlyMap<string, number>): string[][] =>
  [...counts].toSorted(([, a], [, b]) => b - a).map(([what, count]) => [what, thousands(count)]);
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

/** The whole page. */
export function page(results: Results): string {
  const { seed, minutes, ledger, lives } = results;
  const machine = `${availableParallelism()} cores of ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const checks = [...ledger.checks].map(([name, times]) => [INVARIANTS[name], thousands(times)]);
  return `# Reliability

Written by \`npm run soak\` on ${new Date().toISOString().slice(0, 10)}: ${machine}, Node ${process.versions.node}, the embedded model. It took ${minutes.toFixed(0)} minutes on a machine
that other work shares (load average of the last 15 minutes at the end: ${loadavg()[2]?.toFixed(1)}); times are to be read with that in mind, counts do not depend on it.

Everything random comes from seed ${seed}: \`npm run soak -- --seed ${seed}\` draws the same clients, faults and malformed requests. \`--requests\`, \`--malformed\` and \`--minutes\` (of
the lives under attack) make it shorter or longer; the page is written by a run of the usual length only. A violation is printed with the seed and the client's plan. A short form of it
runs with \`npm run test:long\` (\`test/e2e/api/fuzz.long.test.ts\`, \`test/e2e/api/malformed.test.ts\`).

## Violations: ${ledger.violations.length}

${ledger.violations.length === 0 ? `None, in ${thousands(ledger.requests)} requests and ${lives} lives of a worker.` : ledger.violations.map((text) => `- ${text}`).join('\n')}

${table(['invariant', 'times looked at'], checks)}

## Requests and faults

${table(['how requests ended', 'times'], counted(ledger.ends))}

${table(['fault', 'times'], counted(ledger.faults))}

"Nobody listens": the client came after the worker had closed its door at SIGTERM. "Not read to its end": the client left, and the worker was stopped before it could come back.

## Must hold

${goals(results)}

${memory(results.load)}

${malformed(results.attack)}

${lostEngine(results.kills)}

${probes(results.probes)}`;
}

function goals({ load, attack, kills, probes }: Results): string {
  const told = Math.max(...kills.map(({ toldMs }) => toldMs));
  const recovered = Math.max(...kills.map(({ recoveredMs }) => recoveredMs));
  const errors = [...attack.statuses]
    .filter(([status]) => status.startsWith('5'))
    .reduce((sum, [, times]) => sum + times, 0);
  const p99 = (name: string): number =>
    quantile([...(probes.find(({ clients }) => clients === 64)?.took[name] ?? [])], 0.99);
  const row = (what: string, wanted: string, figure: string, reached: boolean): string[] => [
    what,
    wanted,
    figure,
    reached ? 'yes' : '**no**',
  ];
  return table(
    ['what', 'goal', 'measured', 'reached'],
    [
      row(
        'engine killed under 16 streams: the last of 16 `ENGINE_LOST`, worst round',
        '≤ 1 000 ms',
        `${told.toFixed(0)} ms`,
        told <= 1000,
      ),
      row(
        'until a new request has ended well, worst round',
        '≤ 3 000 ms',
        `${recovered.toFixed(0)} ms`,
        recovered <= 3000,
      ),
      row(
        'exit code at SIGTERM after that',
        '0',
        [...new Set(kills.map(({ exitCode }) => exitCode))].join(', '),
        kills.every(({ exitCode }) => exitCode === 0),
      ),
      row(`5xx to ${thousands(attack.requests)} malformed requests`, '0', String(errors), errors === 0),
      row('p99 of `/health`, 64 clients', '< 20 ms', `${p99('health').toFixed(1)} ms`, p99('health') < 20),
      row('p99 of `/metrics`, 64 clients', '< 20 ms', `${p99('metrics').toFixed(1)} ms`, p99('metrics') < 20),
      row(
        "growth of the worker's heap over the load, last half",
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

${thousands(requests)} requests, 8 at a time, of 1 to 12 tokens; ${thousands(aborted)} given up half-way; each stream read a second time from its log, so twice as many answers; ${(seconds / 60).toFixed(1)} minutes. MiB, at
${samples.length} moments at which nothing ran, all logs had been let go and garbage was collected: left to itself, V8 lets some hundred MiB of it lie where the machine has them. The slope is of a straight line through the last
half.

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

Open files of the worker: ${files[0]} before, ${Math.max(...files)} at most, and no more than before at the end.`;
}

function malformed({ requests, statuses, memory: bytes, slope }: AttackResult): string {
  return `## Malformed requests

${thousands(requests)} on raw sockets, 16 at a time: random bytes, random JSON, random headers, requests that stop half-way.

${table(['status', 'times'], counted(statuses))}

"none": a request that is not whole, on a connection that its sender closed. Heap of the worker, garbage collected: ${mebibytes(bytes[0] ?? 0)} MiB after the first 500, ${mebibytes(bytes.at(-1) ?? 0)} MiB after the last; slope of the last
half ${slope.toFixed(0)} bytes per request. No restart, neither of the worker nor of its engine.`;
}

function lostEngine(kills: readonly KillResult[]): string {
  return `## Time to recover from a killed engine

SIGKILL while sixteen streams decode, ${kills.length} times, each on a worker of its own. Milliseconds from the kill, as clients see them: median (lowest … highest).

${table(
  ['what', 'ms'],
  [
    [
      'until the last of sixteen streams was closed with `ENGINE_LOST`',
      spread(
        kills.map(({ toldMs }) => toldMs),
        0,
      ),
    ],
    [
      'until a request that is sent every 10 ms has its `end`',
      spread(
        kills.map(({ recoveredMs }) => recoveredMs),
        0,
      ),
    ],
  ],
)}`;
}

function probes(results: readonly ProbeResult[]): string {
  const rows = results.flatMap(({ clients, took }) =>
    Object.entries(took).map(([name, ms]) => [
      String(clients),
      name === 'nothing' ? 'a server that does nothing' : `\`/${name}\``,
      String(ms.length),
      ...[0.5, 0.95, 0.99].map((share) => quantile([...ms], share).toFixed(1)),
    ]),
  );
  return `## Probes under load

Clients that stream without a pause, 16 slots, and one probe that asks for \`/health\`, \`/metrics\` and a server that does nothing in turn; clients, probe, worker and engine are processes of
their own on the same cores; the engine is 5 nicer than the others (docs/decisions/0016-the-engine-goes-second.md). What the server that does nothing takes is what one waits for a core.

${table(['clients', 'asked', 'times', 'p50 ms', 'p95 ms', 'p99 ms'], rows)}
`;
}
