/**
 * The cost of many workers on one machine: processor time to ready, time until all are ready, and the processor
 * time, wake-ups and memory of idle workers.
 *
 * BENCH_BEFORE=<folder of another build> compares it with this one, in turn. BENCH_WORKERS=<n>: default 50.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { goal, interleaved, quantile, ratios, rounds, section, spread, table } from './measure.mjs';
import { activity, childOf, cpuMs, memory } from './process-figures.mjs';
import { startWorker } from './processes.mjs';

const HERE = fileURLToPath(new URL('..', import.meta.url));
const ALONE_ROUNDS = 10;
const FLEET_ROUNDS = 3;
/** Time after the last worker is ready until a worker counts as idle. */
const SETTLE_MS = 5000;
const IDLE_MS = 30_000;
/** Time after that: V8 collects most of the garbage of the start before. */
const COLLECT_MS = 60_000;

export async function manyWorkers() {
  const title = 'Many workers';
  if (process.platform !== 'linux') return section(title, ['Measured on Linux only.']);
  const count = Number(process.env.BENCH_WORKERS ?? 50);
  const before = process.env.BENCH_BEFORE;
  const builds = { ...(before && { before }), now: HERE };
  const measured = (measure) =>
    Object.fromEntries(Object.entries(builds).map(([name, at]) => [name, () => measure(at)]));
  const alone = await interleaved(rounds(ALONE_ROUNDS), measured(oneWorker));
  const together = await interleaved(
    rounds(FLEET_ROUNDS),
    measured((build) => startMany(build, count)),
  );
  const rows = [...ALONE_ROWS.map((row) => cells(row, alone)), ...FLEET_ROWS.map((row) => cells(row, together))];
  const head = before ? ['', 'before', 'now', 'now / before'] : ['', 'now'];
  return section(
    title,
    [
      `The embedded model. One worker alone: ${alone.now.length} starts. Many: ${count} workers, spawned in one loop, ${together.now.length === 1 ? 'once' : `${together.now.length} times`}. ` +
        'Processor time is that of all threads, from spawn to `warmup.done`. ' +
        `Fresh: ${IDLE_MS / 1000} s, from ${SETTLE_MS / 1000} s after the last worker is ready. ` +
        `Idle: ${IDLE_MS / 1000} s, ${COLLECT_MS / 1000} s later; memory of many is that of this time. A wake-up is a voluntary context switch of a thread. ` +
        'Memory is private: pages that no other process has. A worker alone has the pages of its files to itself, and many workers share them. PSS divides each shared page among its processes.',
      table(head, rows),
    ],
    before ? goalsOf(alone, together) : [],
  );
}

/** Figures of a worker that is alone, and of its engine. */
async function oneWorker(build) {
  const worker = await startWorker([], join(build, 'dist/cli.js'));
  try {
    const [pid, engine] = [worker.pid, childOf(worker.pid)];
    const cpu = { worker: cpuMs(pid), engine: cpuMs(engine) };
    await sleep(SETTLE_MS);
    return { readyMs: worker.at['warmup.done'], cpu, memory: { worker: memory(pid), engine: memory(engine) } };
  } finally {
    await worker.stop();
  }
}

/** Figures of workers that start at once: times to ready, means of each worker and of each engine. */
async function startMany(build, count) {
  const began = performance.now();
  const started = await Promise.allSettled(
    Array.from({ length: count }, async () => {
      const worker = await startWorker([], join(build, 'dist/cli.js'));
      const engine = childOf(worker.pid);
      return { worker, engine, cpu: { worker: cpuMs(worker.pid), engine: cpuMs(engine) } };
    }),
  );
  const workers = started.flatMap(({ value }) => value ?? []);
  try {
    const failed = started.find(({ status }) => status === 'rejected');
    if (failed) throw failed.reason;
    const allReadyMs = performance.now() - began;
    await sleep(SETTLE_MS);
    const fresh = await idleFigures(workers);
    await sleep(COLLECT_MS);
    const idle = await idleFigures(workers);
    const meanOf = (figure) => ({
      worker: mean(workers.map(({ worker }) => figure(worker.pid))),
      engine: mean(workers.map(({ engine }) => figure(engine))),
    });
    return {
      allReadyMs,
      readyMs: workers.map(({ worker }) => worker.at['warmup.done']),
      cpu: { worker: mean(workers.map(({ cpu }) => cpu.worker)), engine: mean(workers.map(({ cpu }) => cpu.engine)) },
      fresh,
      idle,
      memory: {
        own: meanOf((pid) => memory(pid).own),
        proportional: meanOf((pid) => memory(pid).proportional),
      },
    };
  } finally {
    await Promise.all(workers.map(({ worker }) => worker.stop()));
  }
}

/** Processor time of all idle workers together in `IDLE_MS`, and wake-ups per second of one. */
async function idleFigures(workers) {
  const sides = { worker: workers.map(({ worker }) => worker.pid), engine: workers.map(({ engine }) => engine) };
  const snapshot = () => Object.values(sides).map((pids) => pids.map(activity));
  const began = performance.now();
  const first = snapshot();
  await sleep(IDLE_MS);
  const last = snapshot();
  const seconds = (performance.now() - began) / 1000;
  const change = (side, figure) => sum(last[side].map((now, index) => now[figure] - first[side][index][figure]));
  return {
    cpuMs: (change(0, 'cpuMs') + change(1, 'cpuMs')) * (IDLE_MS / 1000 / seconds),
    workerWakeUps: change(0, 'wakeUps') / seconds / workers.length,
    engineWakeUps: change(1, 'wakeUps') / seconds / workers.length,
  };
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const mean = (values) => sum(values) / values.length;
const both = ({ worker, engine }) => worker + engine;

/** Rows of the table: label, figure of a round, digits. */
const ALONE_ROWS = [
  ['alone: ready after, ms', ({ readyMs }) => readyMs, 0],
  ['alone: CPU to ready, worker + engine, ms', ({ cpu }) => both(cpu), 0],
  ['– worker', ({ cpu }) => cpu.worker, 0],
  ['– engine', ({ cpu }) => cpu.engine, 0],
  ['alone: private memory, worker + engine, MB', ({ memory: { worker, engine } }) => worker.own + engine.own, 1],
  ['– worker', ({ memory: { worker } }) => worker.own, 1],
  ['– engine', ({ memory: { engine } }) => engine.own, 1],
  [
    'alone: private memory without pages of files, worker + engine, MB',
    ({ memory: { worker, engine } }) => worker.unshared + engine.unshared,
    1,
  ],
];
const FLEET_ROWS = [
  ['many: all ready after, s', ({ allReadyMs }) => allReadyMs / 1000, 1],
  ['many: ready after, p50, s', ({ readyMs }) => quantile(readyMs, 0.5) / 1000, 1],
  ['many: ready after, p95, s', ({ readyMs }) => quantile(readyMs, 0.95) / 1000, 1],
  ['many: CPU to ready, worker + engine, ms', ({ cpu }) => both(cpu), 0],
  ['– worker', ({ cpu }) => cpu.worker, 0],
  ['– engine', ({ cpu }) => cpu.engine, 0],
  ['many: private memory, worker + engine, MB', ({ memory: { own } }) => both(own), 1],
  ['– worker', ({ memory: { own } }) => own.worker, 1],
  ['– engine', ({ memory: { own } }) => own.engine, 1],
  ['many: PSS, worker + engine, MB', ({ memory: { proportional } }) => both(proportional), 1],
  [`many, fresh: CPU of all in ${IDLE_MS / 1000} s, ms`, ({ fresh }) => fresh.cpuMs, 0],
  [`many, idle: CPU of all in ${IDLE_MS / 1000} s, ms`, ({ idle }) => idle.cpuMs, 0],
  ['many, idle: wake-ups per second of a worker', ({ idle }) => idle.workerWakeUps, 1],
  ['many, idle: wake-ups per second of an engine', ({ idle }) => idle.engineWakeUps, 1],
];

function cells([label, figure, digits], { before, now }) {
  const values = (side) => side.map(figure);
  if (!before) return [label, spread(values(now), digits)];
  return [
    label,
    spread(values(before), digits),
    spread(values(now), digits),
    spread(ratios(values(now), values(before)), 2),
  ];
}

function goalsOf(alone, together) {
  const ratio = (side, figure) => ratios(side.now.map(figure), side.before.map(figure));
  const most = (limit) => ({ most: limit, unit: '×', digits: 2 });
  return [
    goal(
      'CPU to ready of a worker and its engine, against before',
      most(0.5),
      ratio(alone, ({ cpu }) => both(cpu)),
    ),
    goal(
      'time until many workers are ready, against before',
      most(0.5),
      ratio(together, ({ allReadyMs }) => allReadyMs),
    ),
    goal(
      'CPU of many fresh workers without work, against before',
      most(0.05),
      ratio(together, ({ fresh }) => fresh.cpuMs),
    ),
    goal(
      'CPU of many idle workers, against before',
      most(0.05),
      ratio(together, ({ idle }) => idle.cpuMs),
    ),
    goal(
      'private memory of an idle worker and its engine among many, against before',
      most(0.8),
      ratio(together, ({ memory: { own } }) => both(own)),
    ),
  ];
}
