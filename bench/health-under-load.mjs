/** Does inference ever hold up the event loop that answers probes? */
import { execute, quantile, section, startWorker } from './measure.mjs';

const CLIENTS = 16;
const SECONDS = 5;

export async function healthUnderLoad() {
  const worker = await startWorker();
  const idle = await probe(worker.url, 1);
  let busy = true;
  let tokens = 0;
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (busy) {
      await execute(worker.url, { prompt: 'Write a haiku about bees', temperature: 1 }, ({ type }) => {
        if (type === 'token') tokens += 1;
      });
    }
  });
  const loaded = await probe(worker.url, SECONDS);
  busy = false;
  await Promise.all(clients);
  await worker.stop();
  const row = (label, values) => [label, ...[0.5, 0.95, 0.99].map((q) => quantile(values, q).toFixed(1))];
  return section(
    'Health under load',
    `\`GET /health\`, one at a time, while ${CLIENTS} clients stream without a pause (${Math.round(tokens / SECONDS)} tokens/s in all, clients on the same cores). Goal: p99 below 50 ms.`,
    ['', 'p50 ms', 'p95 ms', 'p99 ms'],
    [row('idle', idle), row(`${CLIENTS} streams`, loaded)],
  );
}

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
