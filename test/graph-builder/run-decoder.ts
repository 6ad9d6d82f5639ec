/** Runs the graph of a described decoder on the CPU, and compares its logits with expected ones. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviceNamed } from '../../src/engine/devices/registry.ts';
import { loadOrt } from '../../src/engine/ort/api.ts';
import { Session } from '../../src/engine/ort/session.ts';
import { buildDecoder } from '../../src/graph-builder/build-decoder.ts';
import type { Choices } from '../../src/graph-builder/choices.ts';
import type { DecoderSpec, GraphMatrix } from '../../src/protocol/decoder/decoder-spec.ts';
import { runtimeLibrary } from '../engine/harness.ts';
import { VOCABULARY } from './random-decoder.ts';

const [POSITIONS, ROWS] = [40, 3];
/** Three rows: prompts of different lengths. */
export const PROMPTS = [1, 6, 30].map((length, row) =>
  Array.from({ length }, (_, i) => (7 * i * i + 13 * row + 5) % VOCABULARY),
);

export interface DecoderRun {
  readonly spec: DecoderSpec<GraphMatrix>;
  /** The contents of the weight files. */
  readonly files: readonly Uint8Array[];
  readonly choices: Choices;
  /** A folder for the files. */
  readonly root: string;
  /** For each prompt the logits after each id. */
  readonly expected: readonly (readonly (readonly number[])[])[];
}

function openDecoder({ spec, files, choices, root }: DecoderRun): Session {
  const folder = join(root, String(readdirSync(root).length));
  mkdirSync(folder);
  const names = files.map((_, index) => `${index}.bin`);
  for (const [index, name] of names.entries()) writeFileSync(join(folder, name), files[index] ?? '');
  const built = buildDecoder(spec, { choices, files: names, positions: POSITIONS });
  const model = { path: join(folder, '0.bin'), edited: { ...built, folder, isRequired: true } };
  const session = Session.open(loadOrt(runtimeLibrary), model, deviceNamed('cpu'));
  session.reserve({ rows: ROWS, capacity: POSITIONS, chunk: POSITIONS, keep: POSITIONS });
  return session;
}

/** The largest difference of a logit. The rows run alone, in parts, and together. */
export function largestDifference(decoder: DecoderRun): number {
  const session = openDecoder(decoder);
  const { expected } = decoder;
  let largest = 0;
  /** One run of some rows up to the ids `ends`. Compares the logits after the last `keep` ids of each row. */
  const run = (first: number, ends: readonly number[], tokens: number, keep: number): void => {
    for (const [row, end] of ends.entries())
      for (let i = 0; i < tokens; i++)
        session.ids[row * tokens + i] = BigInt(PROMPTS[first + row]?.[end - tokens + i] ?? 0);
    const rows = { first, count: ends.length };
    const written = session.run({ rows, lengths: ends, tokens, logitsAt: 0, keep });
    if (written !== Math.min(keep, tokens)) throw new Error(`${written} logits of ${keep}`);
    for (const [row, end] of ends.entries())
      for (let at = 0; at < written; at++) {
        const found = session.logits.subarray((row * written + at) * VOCABULARY, (row * written + at + 1) * VOCABULARY);
        for (const [id, logit] of (expected[first + row]?.[end - written + at] ?? [Number.NaN]).entries()) {
          const difference = Math.abs((found[id] ?? Number.NaN) - logit);
          largest = difference <= largest ? largest : difference;
        }
      }
  };
  // All ids but the last of each row, which is none of the first row. The third row runs in three parts.
  run(1, [5], 5, 2);
  run(2, [8], 8, 1);
  run(2, [9], 1, 3);
  run(2, [29], 20, 20);
  // The last id of all rows in one run.
  run(0, [1, 6, 30], 1, 1);
  session.close();
  return largest;
}
