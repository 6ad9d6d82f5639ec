/** Opens the graph of a decoder in the runtime, and compares its logits with those of a reference. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviceNamed } from '../../src/engine/devices/registry.ts';
import { loadOrt } from '../../src/engine/ort/api.ts';
import { Session } from '../../src/engine/ort/session.ts';
import { buildDecoder } from '../../src/graph-builder/build-decoder.ts';
import type { Choices } from '../../src/graph-builder/choices.ts';
import type { DecoderSpec, GraphMatrix } from '../../src/protocol/decoder/decoder-spec.ts';
import type { DeviceName } from '../../src/protocol/devices.ts';
import { runtimeLibrary } from '../engine/harness.ts';
import { VOCABULARY } from './random-decoder.ts';

const [POSITIONS, ROWS] = [40, 3];
/** Three rows: prompts of different lengths. */
export const PROMPTS = [1, 6, 30].map((length, row) =>
  Array.from({ length }, (_, i) => (7 * i * i + 13 * row + 5) % VOCABULARY),
);

interface Opening {
  /** The bytes of the first file of weights. */
  readonly file: Uint8Array;
  /** The bytes of the files after it. */
  readonly others?: readonly Uint8Array[];
  readonly choices: Choices;
  /** Default: the CPU, with any choices. */
  readonly device?: DeviceName;
}

/** Writes the files to the folder `root`, and opens the graph. */
export function openDecoder(root: string, spec: DecoderSpec<GraphMatrix>, opening: Opening): Session {
  const { file, others = [], choices, device = 'cpu' } = opening;
  const name = `${readdirSync(root).length}.safetensors`;
  const path = join(root, name);
  const files = [file, ...others].map((bytes, index) => ({ bytes, name: index === 0 ? name : `${name}.${index}` }));
  for (const one of files) writeFileSync(join(root, one.name), one.bytes);
  const built = buildDecoder(spec, { choices, files: files.map((one) => one.name), positions: POSITIONS });
  const model = { path, edited: { ...built, folder: root, isRequired: true } };
  const session = Session.open(loadOrt(runtimeLibrary), model, deviceNamed(device));
  session.reserve({ rows: ROWS, capacity: POSITIONS, chunk: POSITIONS, keep: POSITIONS });
  return session;
}

export interface Differences {
  readonly largest: number;
  /** Root mean square, relative to that of the expected logits. */
  readonly relative: number;
}

/** The differences between the logits of the session and `expected`, `[prompts][ids][vocab]`. */
export function differencesFrom(
  session: Session,
  prompts: readonly (readonly number[])[],
  expected: readonly (readonly (readonly number[])[])[],
): Differences {
  let [largest, squares, expectedSquares] = [0, 0, 0];
  /** One run of some rows up to the ids `ends`. Compares the logits after the last `keep` ids of each row. */
  const run = (first: number, ends: readonly number[], tokens: number, keep: number): void => {
    for (const [row, end] of ends.entries())
      for (let i = 0; i < tokens; i++)
        session.ids[row * tokens + i] = BigInt(prompts[first + row]?.[end - tokens + i] ?? 0);
    const rows = { first, count: ends.length };
    const written = session.run({ rows, lengths: ends, tokens, logitsAt: 0, keep });
    if (written !== Math.min(keep, tokens)) throw new Error(`${written} logits of ${keep} for ${tokens} tokens`);
    for (const [row, end] of ends.entries())
      for (let at = 0; at < written; at++) {
        const found = session.logits.subarray((row * written + at) * VOCABULARY, (row * written + at + 1) * VOCABULARY);
        for (const [id, logit] of (expected[first + row]?.[end - written + at] ?? [Number.NaN]).entries()) {
          const difference = Math.abs((found[id] ?? Number.NaN) - logit);
          largest = Math.max(largest, difference);
          squares += difference ** 2;
          expectedSquares += logit ** 2;
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
  return { largest, relative: Math.sqrt(squares / expectedSquares) };
}
