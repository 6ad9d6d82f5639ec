/**
 * Checks the steps of decoding on a GPU before it serves: the logits of steps over several rows, recorded and
 * replayed, against those of plain runs of one row. Overwrites the first rows of the KV cache.
 */
import type { GpuGraph } from '../../../protocol/loading.ts';
import type { DecodeSteps, StepRow } from '../../ort/gpu/decode-steps.ts';
import type { Session } from '../../ort/session.ts';
import type { TopLogits } from '../../sampling/top-logits.ts';
import { MAX_DEVICE_DIFFERENCE, promptOf, relativeDifference } from '../numeric-check.ts';
import { GpuModeRefusal, simplerThan } from './gpu-mode.ts';

/** Rows of the checked steps. */
const MAX_ROWS = 4;
/** Tokens of the shortest row; the other rows are longer. */
const LEAST_TOKENS = 5;

/** A row, and the logits of a plain run. */
interface ExpectedRow extends StepRow {
  readonly logits: Float32Array;
}

/**
 * Compares steps with runs. Does nothing for a session without steps.
 * @throws GpuModeRefusal if logits differ by more than rounding, or if the best logits are not those of the
 * step
 */
export function checkSteps(session: Session, context: number, mode: GpuGraph): void {
  const { steps, slots } = session;
  if (!steps) return;
  const count = Math.min(slots, MAX_ROWS);
  const rows = Array.from({ length: count }, (_, row) => expectedRow(session, row, context));
  // Each row alone, and all rows together.
  for (const group of [...rows.map((row) => [row]), rows]) checkStep(steps, group, mode);
  for (const { row } of rows) {
    session.forget(row);
    session.releaseRow(row, 0);
  }
}

/** Fills a row by plain runs. The last id of the row is the one that a step appends again. */
function expectedRow(session: Session, row: number, context: number): ExpectedRow {
  const ids = promptOf(session.idLimit, Math.min(LEAST_TOKENS + row, context)).map(
    (id) => (id + row) % session.idLimit,
  );
  const run = (from: number, to: number): Float32Array => {
    for (const [index, id] of ids.slice(from, to).entries()) session.ids[index] = BigInt(id);
    const rows = { first: row, count: 1 };
    const written = session.run({ rows, lengths: [to], tokens: to - from, logitsAt: 0, keep: 1 });
    return session.logitsAt(written - 1);
  };
  const last = ids.length - 1;
  if (last > 0) run(0, last);
  return { row, id: ids[last] ?? 0, length: ids.length, logits: run(last, ids.length).slice() };
}

/** A step with other ids comes first: it is recorded, and the logits must be those of its replay. */
function checkStep(steps: DecodeSteps, rows: readonly ExpectedRow[], mode: GpuGraph): void {
  const others = rows.map((row) => ({ ...row, id: row.id === 0 ? 1 : 0 }));
  for (const step of [others, rows]) steps.run(step, () => 1);
  for (const { row, logits: expected } of rows) {
    const { top, all } = steps.result(row);
    const logits = all();
    const isWrong = !(relativeDifference(logits, expected) <= MAX_DEVICE_DIFFERENCE);
    if (isWrong || (top && !isTopOf(top, logits))) throw new GpuModeRefusal('computes_wrong', simplerThan(mode));
  }
}

/** True if the list has the largest logits, in order, with their ids. */
function isTopOf({ values, ids }: TopLogits, logits: Float32Array): boolean {
  const sorted = logits.toSorted((a, b) => b - a);
  return values.every((value, index) => value === sorted[index] && value === logits[ids[index] ?? -1]);
}
