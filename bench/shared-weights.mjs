/**
 * One copy of the weights for all workers of a machine: time to ready and memory of a worker that maps saved
 * weights, against one with a copy of its own; and many workers of a larger checkpoint.
 *
 * BENCH_WORKERS=<n>: number of workers of the larger checkpoint; default 20, 0 leaves them out.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ask,
  decodeRate,
  expectCold,
  freshPrompt,
  goal,
  interleaved,
  job,
  rounds,
  section,
  spread,
  table,
} from './measure.mjs';
import { checkpointFolder, largeCheckpointFolder } from './models.mjs';
import { childOf, cpuMs, memoryParts, peakMb } from './process-figures.mjs';
import { startWorker } from './processes.mjs';

const ROUNDS = 5;
/** Memory of the KV cache of each of many workers, in MiB. */
const CACHE_MIB = 256;
const CONTEXT = 2048;
const BLOCK_BYTES = 512;
const TOKENS = 48;

export async function sharedWeights() {
  const title = 'One copy of the weights';
  if (process.platform !== 'linux') return section(title, ['Measured on Linux only.']);
  const folder = mkdtempSync(join(tmpdir(), 'bench-weights-'));
  try {
    const small = await compare(folder);
    const large = await manyWorkers(folder, Number(process.env.BENCH_WORKERS ?? 20));
    return section(
      title,
      [
        'A checkpoint of the 135 M shape in float32 on the CPU. The first worker saves the weights in the order of the matrix products: ' +
          `${(small.saving.readyMs / 1000).toFixed(1)} s to ready, ${small.saving.diskMb.toFixed(0)} MB of disk, at most ${small.saving.peakMb.toFixed(0)} MB of memory in its engine. Then, in turn, one worker that maps them and one with \`--weights-cache off\`. ` +
          'Own memory: of both processes, after one answer; pages of files not counted.',
        table(
          ['', 'mapped', 'own copy'],
          ROWS.map(([label, of, digits]) => [
            label,
            ...['mapped', 'copied'].map((side) => spread(small.sides[side].map(of), digits)),
          ]),
        ),
        ...large.texts,
      ],
      [
        goal(
          'ready after, worker with mapped weights, 135 M fp32',
          { most: 0.8, unit: 's' },
          secondsOf(small.sides.mapped),
        ),
        goal('own memory of a worker, 135 M fp32', { most: 120, unit: 'MB' }, small.sides.mapped.map(ownOf)),
        ...large.goals,
      ],
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const ownOf = ({ worker, engine }) => worker.anonymous + engine.anonymous;
const secondsOf = (starts) => starts.map(({ readyMs }) => readyMs / 1000);

const ROWS = [
  ['ready after, ms', ({ readyMs }) => readyMs, 0],
  ['CPU to ready, worker + engine, ms', ({ cpu }) => cpu, 0],
  ['own memory, worker + engine, MB', ownOf, 1],
  ['– worker', ({ worker }) => worker.anonymous, 1],
  ['– engine', ({ engine }) => engine.anonymous, 1],
  ['pages of files of the engine, MB', ({ engine }) => engine.files, 0],
  ['decode, tokens/s', ({ rate }) => rate, 1],
];

/** Starts of workers with mapped weights and with their own copy, in turn. */
async function compare(folder) {
  const flags = ['--model', checkpointFolder('fp32'), '--context', String(CONTEXT), '--speculation', 'off'];
  const cache = join(folder, 'small');
  const saving = { ...(await start([...flags, '--weights-cache', cache])), diskMb: diskMb(cache) };
  const sides = await interleaved(rounds(ROUNDS), {
    mapped: () => start([...flags, '--weights-cache', cache]),
    copied: () => start([...flags, '--weights-cache', 'off']),
  });
  return { saving, sides };
}

/** Figures of one worker, after one answer. */
async function start(flags) {
  const worker = await startWorker(['--device', 'cpu', ...flags]);
  try {
    const engine = childOf(worker.pid);
    const cpu = cpuMs(worker.pid) + cpuMs(engine);
    const outcome = await ask(worker.url, job(freshPrompt(64), TOKENS));
    expectCold([outcome], 64, TOKENS);
    return {
      readyMs: worker.at['warmup.done'],
      cpu,
      rate: decodeRate(outcome),
      worker: memoryParts(worker.pid),
      engine: memoryParts(engine),
      peakMb: peakMb(engine),
    };
  } finally {
    await worker.stop();
  }
}

/** Many workers of the larger checkpoint, which start at once. */
async function manyWorkers(folder, count) {
  if (count === 0) return { texts: [], goals: [] };
  const cache = join(folder, 'large');
  const flags = ['--device', 'cpu', '--model', largeCheckpointFolder(), '--weights-cache', cache];
  const limits = ['--context', String(CONTEXT), '--cache-memory', String(CACHE_MIB), '--speculation', 'off'];
  const began = performance.now();
  const started = await Promise.allSettled(Array.from({ length: count }, () => startWorker([...flags, ...limits])));
  const workers = started.flatMap(({ value }) => value ?? []);
  try {
    const allReadyMs = performance.now() - began;
    for (const { url } of workers) await ask(url, job(freshPrompt(16), 8));
    const parts = workers.map(({ pid }) => ({ worker: memoryParts(pid), engine: memoryParts(childOf(pid)) }));
    const engines = parts.map(({ engine }) => engine);
    const sumOf = (figure) => parts.reduce((sum, { worker, engine }) => sum + figure(worker) + figure(engine), 0);
    return {
      texts: [
        `${count} workers of a checkpoint of 0.5 billion weights in bfloat16, started at once, each with \`--cache-memory ${CACHE_MIB}\`. One saves the weights as float32 (${diskMb(cache).toFixed(0)} MB of disk); all map them. Figures of \`smaps_rollup\` after a short answer of each:`,
        table(
          ['', 'figure'],
          [
            ['ready', `${workers.length} of ${count}`],
            ['all ready after, s', (allReadyMs / 1000).toFixed(1)],
            ['own memory of a worker (Anonymous, both processes), MB', spread(parts.map(ownOf), 1)],
            [
              'pages of files of an engine, MB',
              spread(
                engines.map(({ files }) => files),
                0,
              ),
            ],
            ['Rss of all processes together, MB', sumOf(({ anonymous, files }) => anonymous + files).toFixed(0)],
            ['Pss of all processes together, MB', sumOf(({ proportional }) => proportional).toFixed(0)],
          ],
        ),
      ],
      goals: [goal(`workers of a 0.5 B checkpoint that are ready, of ${count}`, { least: count }, [workers.length])],
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

/** Bytes of the disk that saved weights take, in MB. */
function diskMb(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return (
    files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).blocks * BLOCK_BYTES, 0) / 1e6
  );
}
