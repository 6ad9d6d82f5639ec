/**
 * Checks the steps of decoding on a GPU before it serves: the logits of steps over several rows, recorded and
 * replayed, against those of plain runs of one row. Overwrites the rows of the KV cache, and forgets them.
 */
import type { GpuGraph } from '../../../protocol/loading.ts';
import { messageOf } from '../../../protocol/text/error-message.ts';
import { OrtError } from '../../ort/api.ts';
import { placesFor } from '../../ort/cache/memory.ts';
import { isOutOfMemory } from '../../ort/error-causes.ts';
import type { DecodeSteps, StepRow } from '../../ort/gpu/decode-steps.ts';
import type { Session } from '../../ort/session.ts';
import { EDGE_MARGIN, type TopLogits } from '../../sampling/top-logits.ts';
import { MAX_DEVICE_DIFFERENCE, promptOf, relativeDifference } from '../numeric-check.ts';
import { GpuModeRefusal, simplerThan } from './gpu-mode.ts';

/** Rows whose logits are compared. */
const MAX_COMPARED = 4;
/** Tokens of the shortest row; the other rows are longer. */
const LEAST_TOKENS = 5;

/** Relative difference between the sum of a device and that of float64. */
const MAX_SUM_DIFFERENCE = 1e-4;

/** The part of a session that is checked. */
export interface CheckedSession
  extends Pick<Session, 'slots' | 'idLimit' | 'ids' | 'run' | 'logitsAt' | 'forget' | 'releaseRow'> {
  readonly steps: CheckedSteps | undefined;
}
export type CheckedSteps = Pick<DecodeSteps, 'run' | 'result' | 'recorded'>;

/** A row that is not compared. The step writes its first token. */
const OTHER = { id: 0, length: 1 };

/** A row, and the logits of a plain run. */
interface ExpectedRow extends StepRow {
  /** All ids of the row. */
  readonly ids: readonly number[];
  readonly logits: Float32Array;
}

/**
 * Compares steps with runs: each of the first rows alone, and then steps of 2, 4, 8 … rows up to all of them.
 * So each number of rows is recorded before the first request, and the memory of the largest step is used
 * before the memory of the device is measured. Does nothing in the mode `off`.
 * @throws GpuModeRefusal if the session has no steps, if a step fails, if logits differ by more than
 * rounding, or if the best logits are not those of the step. OrtError if a run fails.
 */
export function checkSteps(session: CheckedSession, context: number, mode: GpuGraph): void {
  const { steps, slots } = session;
  if (mode === 'off') return;
  if (!steps) throw new GpuModeRefusal('no_copies', 'off');
  const compared = Array.from({ length: Math.min(slots, MAX_COMPARED) }, (_, row) =>
    expectedRow(session, row, context),
  );
  const all = Array.from({ length: slots }, (_, row) => compared[row] ?? { ...OTHER, row });
  for (const row of compared) checkStep(session, steps, [row], mode);
  for (const count of countsUpTo(slots)) checkStep(session, steps, all.slice(0, count), mode);
  if (mode === 'captured' && steps.recorded === 0) throw new GpuModeRefusal('fails', 'eager', 'no step was recorded');
  for (const { row } of all) {
    session.forget(row);
    session.releaseRow(row, 0);
  }
}

/** The numbers of rows of steps over several rows. */
function countsUpTo(slots: number): number[] {
  const counts: number[] = [];
  for (let rows = 2; rows / 2 < slots; rows *= 2) counts.push(placesFor(rows, slots));
  return counts;
}

/** Fills a row by plain runs. The last id of the row is the one that a step appends again. */
function expectedRow(session: CheckedSession, row: number, context: number): ExpectedRow {
  const prompt = promptOf(session.idLimit, Math.min(LEAST_TOKENS + row, context));
  const ids = prompt.map((id) => (id + row) % session.idLimit);
  const last = ids.length - 1;
  fill(session, row, ids.slice(0, last));
  const logits = appended(session, row, { ids: ids.slice(last), length: ids.length }).slice();
  return { row, id: ids[last] ?? 0, length: ids.length, ids, logits };
}

/** Computes ids in a row from its beginning. */
function fill(session: CheckedSession, row: number, ids: readonly number[]): void {
  if (ids.length > 0) appended(session, row, { ids, length: ids.length });
}

/**
 * Appends ids to a row in a plain run. Returns the logits after the last one.
 * @param length tokens in the row after the run
 */
function appended(
  session: CheckedSession,
  row: number,
  { ids, length }: { readonly ids: readonly number[]; readonly length: number },
): Float32Array {
  for (const [index, id] of ids.entries()) session.ids[index] = BigInt(id);
  const rows = { first: row, count: 1 };
  const written = session.run({ rows, lengths: [length], tokens: ids.length, logitsAt: 0, keep: 1 });
  return session.logitsAt(written - 1);
}

/**
 * A step with other ids comes first: it is recorded, and the logits must be those of its replay. Plain runs
 * come in between: a recorded run must not depend on memory that they use.
 */
function checkStep(
  session: CheckedSession,
  steps: CheckedSteps,
  rows: readonly (ExpectedRow | StepRow)[],
  mode: GpuGraph,
): void {
  const compared = rows.filter((row) => 'logits' in row);
  const withOtherIds = rows.map((row) => ({ ...row, id: row.id === 0 ? 1 : 0 }));
  runStep(steps, withOtherIds, mode);
  for (const { row, ids } of compared) fill(session, row, ids.slice(0, -1));
  runStep(steps, rows, mode);
  for (const { row, logits: expected } of compared) {
    const { top, all } = steps.result(row);
    const logits = all();
    const difference = relativeDifference(logits, expected);
    const isRight = difference <= MAX_DEVICE_DIFFERENCE;
    if (isRight && (!top || isTopOf(top, logits))) continue;
    const problem = isRight ? 'the list of the best logits is wrong' : `logits differ by ${percentOf(difference)}`;
    const where = `step over ${rows.length} rows, row ${row}`;
    throw new GpuModeRefusal('computes_wrong', simplerThan(mode), `${where}: ${problem}`);
  }
}

function runStep(steps: CheckedSteps, rows: readonly StepRow[], mode: GpuGraph): void {
  try {
    steps.run(rows, () => 1);
  } catch (error) {
    if (error instanceof OrtError && isOutOfMemory(error.message)) throw error;
    throw new GpuModeRefusal('fails', simplerThan(mode), messageOf(error));
  }
}

const percentOf = (part: number): string => `${(100 * part).toPrecision(3)} %`;

/**
 * True if the list has the largest logits with their ids, and the sum over all logits. A device can take two
 * logits for equal that are close to each other.
 */
function isTopOf({ values, ids, sum }: TopLogits, logits: Float32Array): boolean {
  const sorted = logits.toSorted((a, b) => b - a);
  const [largest = 0] = sorted;
  const expected = sorted.reduce((total, value) => total + Math.exp(value - largest), 0);
  const isListed = (value: number, index: number): boolean =>
    value === logits[ids[index] ?? -1] && Math.abs(value - (sorted[index] ?? Number.NaN)) <= EDGE_MARGIN;
  return Math.abs(sum - expected) <= MAX_SUM_DIFFERENCE * expected && values.every(isListed);
}
