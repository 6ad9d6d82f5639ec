/**
 * The speed of one model file on one device. A script of its own, because the machine of the other benches
 * has no GPU.
 *
 *   node bench/on-device.mjs <device> <model.onnx> [<off|eager|captured>] [<libonnxruntime>]
 */
import { realpathSync } from 'node:fs';
import { libraryPath } from '../dist/model/runtime-library.js';
import { OpenEngine, sequence } from './engine.mjs';
import { quantile, spread, table } from './measure.mjs';

const [device, modelFile, gpuGraph = 'off', library] = process.argv.slice(2);
const ROUNDS = 5;
const PREFILL = 448;
const DECODED = 64;
const ROWS = [1, 4, 16];

const engine = new OpenEngine({
  runtimeLibrary: library ?? libraryPath(),
  candidates: [{ device, modelFile, weightFiles: [realpathSync(modelFile)] }],
  names: {},
  slots: Math.max(...ROWS),
  context: 1024,
  prefillChunk: 'auto',
  threads: 'auto',
  speculation: 'off',
  gpuGraph,
});
let salt = 0;
const fresh = (length) => {
  salt += 1;
  return Array.from({ length }, (_, index) => (index === 0 ? salt : (index * 7919 + salt * 104_729) % 256));
};

const prefill = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const outcome = await engine.run(sequence(fresh(PREFILL), 1));
  if (round > 0) prefill.push((PREFILL * 1000) / outcome.tokens[0]);
}
const cells = [];
for (const rows of ROWS) {
  const rates = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const outcomes = await Promise.all(Array.from({ length: rows }, () => engine.run(sequence(fresh(128), DECODED))));
    // The time in which all rows decode: from the last first token to the first last token.
    const from = Math.max(...outcomes.map(({ sent, tokens }) => sent + tokens[0]));
    const until = Math.min(...outcomes.map(({ sent, tokens }) => sent + tokens.at(-1)));
    const within = outcomes.flatMap(({ sent, tokens }) =>
      tokens.filter((at) => sent + at > from && sent + at <= until),
    );
    if (round > 0) rates.push((within.length * 1000) / (until - from));
  }
  cells.push(spread(rates, 0));
}
const { prefillChunk, deviceBytes } = engine.facts;
process.stdout.write(
  `${table(['device', 'decoding', 'prefill', ...ROWS.map((rows) => `${rows} rows`), 'chunk', 'MB on the device'], [[device, engine.facts.gpuGraph?.mode ?? 'off', spread(prefill, 0), ...cells, prefillChunk, Math.round(deviceBytes / 1e6)]])}\n`,
);
process.stdout.write(`median prefill ${Math.round(quantile(prefill, 0.5))} tokens/s\n`);
engine.close();
