/** Growth of the memory of the worker and its engine from request to request. */
import { readFileSync } from 'node:fs';
import { askAll, freshPrompt, job, rounds, section, spread, table } from './measure.mjs';
import { startWorker } from './processes.mjs';

const SAMPLE = 500;
const SAMPLES = 20;
const CLIENTS = 8;
const TOKENS = 4;

export async function memory10k() {
  if (process.platform !== 'linux') return section('Memory', ['Measured on Linux only, from /proc.']);
  const worker = await startWorker(['--slots', String(CLIENTS)]);
  const processes = { worker: worker.pid, engine: childOf(worker.pid) };
  const samples = Object.fromEntries(Object.keys(processes).map((name) => [name, []]));
  const count = rounds(SAMPLES);
  for (let sample = 0; sample < count; sample += 1) {
    const bodies = Array.from({ length: SAMPLE }, () => job(freshPrompt(24), TOKENS));
    await askAll(worker.url, bodies, CLIENTS);
    for (const [name, pid] of Object.entries(processes)) samples[name].push(residentBytes(pid));
  }
  await worker.stop();
  return section('Memory', [
    `Resident memory over ${count * SAMPLE} requests of the embedded model, ${CLIENTS} at a time, ${TOKENS} tokens each, sampled every ${SAMPLE}. Growth is the slope of a straight line through the last half of the samples. By then caches and heaps have found their size, so growth is a leak or the noise of the garbage collector (a heap that swings by 10 MiB gives some 1 000 bytes per request).`,
    table(
      ['process', 'first sample, MiB', 'last, MiB', 'last half, MiB', 'growth in the last half, bytes per request'],
      Object.entries(samples).map(([name, bytes]) => {
        const half = bytes.slice(Math.floor(bytes.length / 2));
        const shown = (value) => (value / 2 ** 20).toFixed(1);
        const mebibytes = half.map((value) => value / 2 ** 20);
        return [name, shown(bytes[0]), shown(bytes.at(-1)), spread(mebibytes), (slope(half) / SAMPLE).toFixed(0)];
      }),
    ),
  ]);
}

const residentBytes = (pid) =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

/** The engine process is the worker's only child. */
const childOf = (pid) => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);

/** Slope of the least-squares line through values at 0, 1, 2… */
function slope(values) {
  const mean = (numbers) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const middle = (values.length - 1) / 2;
  const average = mean(values);
  const covariance = mean(values.map((value, index) => (index - middle) * (value - average)));
  return covariance / Math.max(1e-9, mean(values.map((_, index) => (index - middle) ** 2)));
}
