/**
 * Checks an open session before it serves: how much the runtime rounds, and how long a run the device
 * computes correctly. Uses row 0 of the session as scratch.
 */
import type { Session } from '../ort/session.ts';
import { LoadError } from './load-error.ts';

/** Ids of a short prompt. */
export const PROMPT = 16;

/** A prompt of different ids, so that attention weights differ. */
export const promptOf = (vocabSize: number, length: number): number[] =>
  Array.from({ length }, (_, index) => (index * 7919) % vocabSize);

/**
 * Compares the logits of one position computed alone, as in decoding, with those computed behind other
 * positions, as in a prompt or a draft. Both are correct; the order of the sums differs. Where activations
 * are quantized (4- and 8-bit weights), the last bits decide how a value is rounded, and the difference grows
 * from 1e-6 to 1e-2: decoding with drafts would then give other tokens in close calls.
 * @returns root mean square of the difference, divided by that of the logits; 0 if the context is shorter
 * than two ids, infinite if the logits are not numbers.
 */
export function roundingBetweenRuns(session: RunsIds, context: number): number {
  const ids = promptOf(session.signature.vocabSize, Math.min(PROMPT, context));
  if (ids.length < 2) return 0;
  const behind = lastLogits(session, ids, ids.length).slice();
  return apart(lastLogits(session, ids, 1), behind);
}

/** Lengths of the prompts that test long runs. The first finds most of the known faults. */
const PROBES = [64, 512];
/** Length of runs that are assumed correct. */
const SHORT = 16;
/** Half floats differ by less than 0.01; SwiftShader by 0.06 for 64 tokens in one run, by 0.31 for 32. */
const DOUBTFUL = 0.03;
/** Float32 attention beside a CUDA device reads another cache than it writes: it differs by 0.34. */
const WRONG = 0.1;

/**
 * Compares the logits of one long run with those of several short runs, and those with one id at a time. Some
 * driver bugs show only in long runs, and an operator that a provider lacks can make a device read another
 * cache than it wrote.
 * @param most wanted tokens of a run; runs over 512 are as correct as runs of 512.
 * @returns the longest run that is correct, at most `most`.
 * @throws LoadError `computes_wrong` for a device whose logits for one id at a time differ, or are not
 * numbers.
 */
export function longestCorrectRun(session: RunsIds, context: number, most: number): number {
  const few = promptOf(session.signature.vocabSize, Math.min(SHORT, context));
  const alone = apart(inRunsOf(session, few, 1), inRunsOf(session, few, few.length));
  if (!(alone <= WRONG)) {
    throw new LoadError({ code: 'computes_wrong', ...(Number.isFinite(alone) && { difference: alone }) });
  }
  for (const length of PROBES) {
    const longest = Math.min(length, context, most);
    const correct = correctUpTo(session, longest);
    if (correct < longest) return correct;
  }
  return most;
}

/** The longest run, up to `longest`, that gives the logits of short runs for a prompt of `longest` ids. */
function correctUpTo(session: RunsIds, longest: number): number {
  const ids = promptOf(session.signature.vocabSize, longest);
  const right = inRunsOf(session, ids, SHORT);
  let size = longest;
  while (size > SHORT && !(apart(inRunsOf(session, ids, size), right) <= DOUBTFUL)) size = Math.floor(size / 2);
  return Math.min(longest, Math.max(size, SHORT));
}

/** The part of a session that the checks use. */
export type RunsIds = Pick<Session, 'signature' | 'ids' | 'logits' | 'run'>;

/** Root mean square of the difference, divided by that of `others`; infinite for NaN and for all zeros. */
function apart(logits: Float32Array, others: Float32Array): number {
  let [difference, size] = [0, 0];
  for (const [id, logit] of others.entries()) {
    difference += (logit - (logits[id] ?? 0)) ** 2;
    size += logit ** 2;
  }
  const ratio = Math.sqrt(difference / size);
  return Number.isFinite(ratio) ? ratio : Number.POSITIVE_INFINITY;
}

/** Logits after all of `ids`, computed from an empty row in runs of `size`. */
function inRunsOf(session: RunsIds, ids: readonly number[], size: number): Float32Array {
  for (let end = size; end < ids.length; end += size) lastLogits(session, ids.slice(0, end), size);
  return lastLogits(session, ids, ids.length % size || size).slice();
}

/** Logits after all of `ids`. This run computes the last `count`; the others are in row 0 already. */
function lastLogits(session: RunsIds, ids: readonly number[], count: number): Float32Array {
  const { vocabSize } = session.signature;
  for (const [index, id] of ids.slice(-count).entries()) session.ids[index] = BigInt(id);
  const rows = { first: 0, count: 1 };
  const written = session.run({ rows, lengths: [ids.length], tokens: count, logitsAt: 0, keep: 1 });
  return session.logits.subarray((written - 1) * vocabSize, written * vocabSize);
}
