/** The upper limit of tokens per second for one stream, if reading the weights were the only cost. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { quantile, rounds, section, spread, table } from './measure.mjs';
import { modelConfig } from './models.mjs';

const ROUNDS = 5;
/** Far larger than any cache. */
const BYTES = 512 * 2 ** 20;
/** Passes over the buffer in one round. */
const PASSES = 4;
/** Bytes per weight of a projection, scales included (blocks of 32, float32 scales). */
const WEIGHT_BYTES = { q4: 0.5 + 4 / 32, q8: 1 + 4 / 32, fp32: 4 };

export async function memoryBandwidth() {
  const most = availableParallelism();
  const figures = {};
  for (const threads of [...new Set([1, most])]) {
    for (const way of ['read', 'copy']) figures[`${way} ${threads}`] = await gigabytesPerSecond(way, threads);
  }
  const shown = (way, threads) => spread(figures[`${way} ${threads}`]);
  const best = quantile(figures[`read ${most}`], 0.5);
  const rows = Object.entries(WEIGHT_BYTES).map(([dtype, each]) => {
    const bytes = each * weightsPerToken(modelConfig(dtype));
    return [dtype, (bytes / 1e6).toFixed(0), ((best * 1e9) / bytes).toFixed(0)];
  });
  return section('Memory bandwidth', [
    `Buffers of ${BYTES / 2 ** 20} MiB, ${PASSES} passes a round, GB/s. Read: \`Buffer.indexOf\` of a byte that does not occur (memchr). Copy: \`Buffer.copy\` (memcpy), with both the bytes read and the bytes written.`,
    table(
      ['', '1 thread', `${most} threads`],
      [
        ['read', shown('read', 1), shown('read', most)],
        ['copy', shown('copy', 1), shown('copy', most)],
      ],
    ),
    'The bandwidth limits decoding: every token of one stream needs every weight of the projections and of the head once. The limit holds where the weights come from memory and the arithmetic costs nothing. Rows that decode together share the reading.',
    table(['135 M model', 'MB of weights per token', 'highest tokens/s of one stream'], rows),
  ]);
}

/** Weights that a token is multiplied with: the projections of all layers, and the head. */
function weightsPerToken(config) {
  const { hidden_size: hidden, head_dim: headDim, num_hidden_layers: layers, vocab_size: vocabulary } = config;
  const attention = 2 * hidden * headDim * (config.num_attention_heads + config.num_key_value_heads);
  return layers * (attention + 3 * hidden * config.intermediate_size) + hidden * vocabulary;
}

async function gigabytesPerSecond(way, threads) {
  const workers = Array.from({ length: threads }, () => new Worker(new URL(import.meta.url), { workerData: way }));
  try {
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    const rates = [];
    for (let round = 0; round < rounds(ROUNDS); round += 1) {
      const began = performance.now();
      const done = workers.map((worker) => once(worker, 'message'));
      for (const worker of workers) worker.postMessage('go');
      await Promise.all(done);
      const bytes = (way === 'copy' ? 2 : 1) * BYTES * PASSES * threads;
      rates.push(bytes / 1e6 / (performance.now() - began));
    }
    return rates;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** One thread: buffers of its own, and a pass for each `go`. */
function serve() {
  const from = Buffer.alloc(BYTES, 1);
  const to = workerData === 'copy' ? Buffer.alloc(BYTES, 2) : undefined;
  parentPort.on('message', () => {
    for (let pass = 0; pass < PASSES; pass += 1) {
      if (to) from.copy(to);
      else from.indexOf(0);
    }
    parentPort.postMessage('done');
  });
  parentPort.postMessage('ready');
}

if (!isMainThread) serve();
