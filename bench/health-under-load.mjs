/** Measures whether inference delays the event loop that answers probes. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { quantile, section, table } from './measure.mjs';
import { startWorker } from './processes.mjs';

const CLIENTS = [1, 16];
const SECONDS = 5;

export async function healthUnderLoad() {
  const worker = await startWorker();
  const rows = [row('idle', await probe(worker.url, 1), 0)];
  for (const clients of CLIENTS) {
    const load = new Worker(new URL('./load-thread.mjs', import.meta.url), {
      workerData: { url: worker.url, clients },
    });
    const took = await probe(worker.url, SECONDS);
    load.postMessage('stop');
    const [tokens] = await once(load, 'message');
    rows.push(row(clients === 1 ? '1 stream' : `${clients} streams`, took, Math.round(tokens / SECONDS)));
  }
  await worker.stop();
  return section('Health under load', [
    '`GET /health`, one at a time, while clients on the same cores stream without a pause. Goal: p99 below 50 ms during a generation. ' +
      'With 16 streams four busy threads (engine, worker, clients, probe) share two cores, and part of the time is a wait for a core.',
    table(['', 'tokens/s in total', 'p50 ms', 'p95 ms', 'p99 ms'], rows),
  ]);
}

const row = (label, took, tokens) => [label, tokens, ...[0.5, 0.95, 0.99].map((q) => quantile(took, q).toFixed(1))];

async function probe(url, seconds) {
  const took = [];
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    const began = performance.now();
    await (await fetch(`${url}/health`)).arrayBuffer();
    took.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return took;
}
