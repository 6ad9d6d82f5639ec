/** How long until the first token, and from token to token? */
import { execute, quantile, section, spread, startWorker } from './measure.mjs';

const RUNS = 100;
const STARTS = 9;

export async function firstToken() {
  // The first worker only warms this client up: how long its own first request takes is not what is measured.
  const first = [];
  for (let start = 0; start <= STARTS; start += 1) {
    const worker = await startWorker();
    const { ttft } = await ask(worker.url, 0);
    if (start > 0) first.push(ttft);
    await worker.stop();
  }
  const worker = await startWorker();
  const [firsts, gaps] = [[], []];
  for (let run = 0; run <= RUNS; run += 1) {
    const told = await ask(worker.url, run);
    if (run === 0) continue;
    firsts.push(told.ttft);
    gaps.push(...told.gaps);
  }
  await worker.stop();
  return section(
    'First token',
    `One client over real HTTP, prompts of about 15 tokens: the first request of ${STARTS} processes, then ${RUNS} requests to one. Goal: the first token within 20 ms.`,
    ['figure', 'ms'],
    [
      ['time to first token, first request of a process', spread(first)],
      ['time to first token', spread(firsts)],
      ['time to first token, p95', quantile(firsts, 0.95).toFixed(1)],
      ['inter-token latency, p50 / p95 / p99', [0.5, 0.95, 0.99].map((q) => quantile(gaps, q).toFixed(2)).join(' / ')],
    ],
  );
}

/** One haiku: milliseconds to its first token, and between its tokens. */
async function ask(url, seed) {
  let [ttft, last] = [0, 0];
  const gaps = [];
  await execute(url, { prompt: `Write a haiku about the sea, number ${seed}`, seed }, ({ type }, at) => {
    if (type !== 'token') return;
    if (last === 0) ttft = at;
    else gaps.push(at - last);
    last = at;
  });
  return { ttft, gaps };
}
