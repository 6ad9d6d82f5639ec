/** How long until the first token, and from token to token? */
import { execute, quantile, section, spread, startWorker } from './measure.mjs';

const RUNS = 100;

export async function firstToken() {
  const worker = await startWorker();
  const [first, firsts, gaps] = [[], [], []];
  await fetch(`${worker.url}/live`); // the client's own first request: its connection is not what is measured
  for (let run = 0; run <= RUNS; run += 1) {
    let last;
    await execute(worker.url, { prompt: `Write a haiku about the sea, number ${run}`, seed: run }, ({ type }, at) => {
      if (type !== 'token') return;
      if (last === undefined) (run === 0 ? first : firsts).push(at);
      else gaps.push(at - last);
      last = at;
    });
  }
  await worker.stop();
  return section(
    'First token',
    `One client over real HTTP, ${RUNS} requests after the first, prompts of about 15 tokens. Goal: the first token within 20 ms.`,
    ['figure', 'ms'],
    [
      ['time to first token, first request of the process', first[0].toFixed(1)],
      ['time to first token', spread(firsts)],
      ['time to first token, p95', quantile(firsts, 0.95).toFixed(1)],
      ['inter-token latency, p50 / p95 / p99', [0.5, 0.95, 0.99].map((q) => quantile(gaps, q).toFixed(2)).join(' / ')],
    ],
  );
}
