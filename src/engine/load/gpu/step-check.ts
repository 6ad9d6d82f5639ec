/**
 * Checks the steps of decoding on a GPU before it serves: the logits of steps over several rows, recorded and
 * replayed, against those of plain runs of one row. Overwrites the first rows of the KV cache.
 */
import type { GpuGraph } from '../../../protocol/loading.ts';
import { OrtError } from '../../ort/api.ts';
import { isOutOfMemory } from '../../ort/error-causes.ts';
import type { DecodeSteps, StepRow } from '../../ort/gpu/decode-steps.ts';
import type { Session } from '../../ort/session.ts';
import type { TopLogits } from '../../sampling/top-logits.ts';
import { MAX_DEVICE_DIFFERENCE, promptOf, relativeDifference } from '../numeric-check.ts';
import { GpuModeRefusal, simplerThan } from './gpu-mode.ts';

/** Rows of the checked steps. */
const MAX_ROWS = 4;
/** Tokens of the shortest row; the other rows are longer. */
const LEAST_TOKENS = 5;

/** Relative difference between the sum of a device and that of float64. */
const MAX_SUM_DIFFERENCE = 1e-4;

/** The part of a session that is checked. */
export interface CheckedSession
  extends Pick<Session, 'slots' | 'idLimit' | 'ids' | 'run' | 'logitsAt' | 'forget' | 'releaseRow'> {
  readonly steps: CheckedSteps | undefined;
}
export type CheckedSteps = Pick<DecodeSteps, 'run' | 'result'>;

/** A row, and the logits of a plain run. */
interface ExpectedRow extends StepRow {
  readonly logits: Float32Array;
}

/**
 * Compares steps with runs. Does nothing in the mode `off`.
 * @throws GpuModeRefusal if the session has no steps, if a step fails, if logits differ by more than
 * rounding, or if the best logits are not those of the step. OrtError if a run fails.
 */
export function checkSteps(session: CheckedSession, context: number, mode: GpuGraph): void {
  const { steps, slots } = session;
  if (mode === 'off') return;
  if (!steps) throw new GpuModeRefusal('no_copies', 'off');
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
function expectedRow(session: CheckedSession, row: number, context: number): ExpectedRow {
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
function checkStep(steps: CheckedSteps, rows: readonly ExpectedRow[], mode: GpuGraph): void {
  const others = rows.map((row) => ({ ...row, id: row.id === 0 ? 1 : 0 }));
  for (const step of [others, rows]) runStep(steps, step, mode);
  for (const { row, logits: expected } of rows) {
    const { top, all } = steps.result(row);
    const logits = all();
    const isWrong = !(relativeDifference(logits, expected) <= MAX_DEVICE_DIFFERENCE);
    if (isWrong || (top && !isTopOf(top, logits))) throw new GpuModeRefusal('computes_wrong', simplerThan(mode));
  }
}

function runStep(steps: CheckedSteps, rows: readonly StepRow[], mode: GpuGraph): void {
  try {
    steps.run(rows, () => 1);
  } catch (error) {
    if (error instanceof OrtError && isOutOfMemory(error.message)) throw error;
    throw new GpuModeRefusal('fails', simplerThan(mode));
  }
}

/** True if the list has the largest logits, in order, with their ids, and the sum over all logits. */
function isTopOf({ values, ids, sum }: TopLogits, logits: Float32Array): boolean {
  const sorted = logits.toSorted((a, b) => b - a);
  const [largest = 0] = sorted;
  const expected = sorted.reduce((total, value) => total + Math.exp(value - largest), 0);
  return (
    Math.abs(sum - expected) <= MAX_SUM_DIFFERENCE * expected &&
    values.every((value, index) => value === sorted[index] && value === logits[ids[index] ?? -1])
  );
}
