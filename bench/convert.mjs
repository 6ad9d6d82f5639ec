/** The rate of the conversion of weights on one core, by format, beside a copy of the same memory. */
import { Kernels, PIECE } from '../dist/engine/conversion/kernels/kernels.js';
import { FLOAT_FORMS, REQUANTIZED } from '../dist/engine/conversion/plan/forms.js';
import { sourceBytes } from '../dist/engine/conversion/plan/plan-conversion.js';
import { EXACT_FORMS } from '../dist/protocol/decoder/exact-forms.js';
import { quantile, rounds, section, table } from './measure.mjs';

const ROUNDS = 15;
/** Pieces in one round. */
const PASSES = 8;

/** Rows of the bench: name → format and form. */
const CONVERSIONS = [
  ...Object.entries(EXACT_FORMS).map(([from, form]) => [from, from, form]),
  ...['q4_1', 'q4_k', 'q5_1', 'q5_k', 'q2_k'].map((from) => [`${from}, 8 bits with zero points`, from, REQUANTIZED]),
  ...['f32', 'f16', 'bf16'].flatMap((from) =>
    Object.entries(FLOAT_FORMS).map(([quantize, form]) => [`${from} to ${quantize}`, from, form]),
  ),
];

export function convert() {
  const kernels = new Kernels();
  // Random bytes without the exponents of NaN and Infinity: all bytes below 64.
  for (let at = 0; at < kernels.source.length; at += 1) kernels.source[at] = (Math.imul(at, 2654435761) >>> 9) & 63;
  const target = new Uint8Array(kernels.source.length);
  const rows = CONVERSIONS.map(([name, from, form]) => {
    const [conversion, copy] = [[], []];
    const bytes = kernels.source.subarray(0, sourceBytes(from, PIECE));
    for (let round = 0; round < rounds(ROUNDS); round += 1) {
      conversion.push(millisecondsOf(() => kernels.convert(from, form, PIECE)));
      copy.push(millisecondsOf(() => target.set(bytes)));
    }
    const [best, typical] = [0, 0.5].map((part) => PIECE / 1e3 / quantile(conversion, part));
    const ratio = quantile(conversion, 0) / quantile(copy, 0);
    return [name, typical.toFixed(0), best.toFixed(0), ratio.toFixed(1)];
  });
  return section('Conversion of weights', [
    `Processor time of one thread, pieces of ${PIECE} weights in memory, without files. The last column is the time of a conversion relative to \`memcpy\` of the bytes that it reads.`,
    table(['', 'M weights/s, median', 'best', 'times a copy'], rows),
  ]);
}

/** Processor time of one pass: other processes do not count. */
function millisecondsOf(run) {
  const began = process.cpuUsage();
  for (let pass = 0; pass < PASSES; pass += 1) run();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e3 / PASSES;
}
