/**
 * Checks on an open session before it serves: how much the runtime rounds, and how long a run the device computes correctly.
 */
import type { Session } from '../ort/session.ts';
import { LoadError } from './load-error.ts';

/** Ids of a short prompt. */
export const PROMPT = 16;

/** Ids that differ, so that attention has something to weigh. */
export const promptOf = (vocabSize: number, length: number): number[] =>
  Array.from({ length }, (_, index) => (index * 7919) % vocabSize);

/**
 * How far the logits of one position are apart when it is computed alone, as decoding does, and behind others, as a prompt's or a draft's is.
 * Both are right; the order of sums differs. Where activations are quantized (4- and 8-bit weights), the last bits decide what is rounded up
 * and the difference grows from 1e-6 to 1e-2: decoding with drafts would then give other tokens in close calls. Uses row 0 as scratch.
 * @returns root mean square of the difference over that of the logits; 0 when the context has no room for two ids, infinite without numbers.
 */
export function roundingBetweenRuns(session: RunsIds, context: number): number {
  const ids = promptOf(session.signature.vocabSize, Math.min(PROMPT, context));
  if (ids.length < 2) return 0;
  const behind = lastLogits(session, ids, ids.length).slice();
  return apart(lastLogits(session, ids, 1), behind);
}

/** Lengths of prompts that show whether a device computes long runs right: the first shows what is wrong with most that is. */
const PROBES = [64, 512];
/** Runs that are taken to be right. */
const SHORT = 16;
/** Half floats round by less than 0.01; what SwiftShader gives for 64 tokens in one run is 0.06 apart, for 32 tokens 0.31. */
const DOUBTFUL = 0.03;
/** What float32 attention gives on the host of a CUDA device, behind the cache's back, is 0.34 apart. */
const WRONG = 0.1;

/**
 * Drivers have bugs that show in long runs only, and an operator that a provider lacks can leave a device with another cache than was written:
 * what a device gives for a prompt in one run is held against what it gives for it in short ones, and that against one id at a time. Uses row
 * 0 as scratch.
 * @param most tokens of a run that are wanted; runs over 512 are as right as those of 512.
 * @returns most tokens of a run that may be trusted, at most `most`.
 * @throws LoadError `computes_wrong` if the device gives other logits for one id at a time, or none.
 */
export function longestCorrectRun(session: RunsIds, context: number, most: number): number {
  const few = promptOf(session.signature.vocabSize, Math.min(SHORT, context));
  const alone = apart(inRunsOf(session, few, 1), inRunsOf(session, few, few.length));
  if (!(alone <= WRONG)) {
    throw new LoadError({ code: 'computes_wrong', ...(Number.isFinite(alone) && { difference: alone }) });
  }
  for (const length of PROBES) {
    const longest = Math.min(length, context, most);
    const trusted = trustedOf(session, longest);
    if (trusted < longest) return trusted;
  }
  return most;
}

/** Most tokens of a run, up to `longest`, that give for a prompt of so many what short ones give. */
function trustedOf(session: RunsIds, longest: number): number {
  const ids = promptOf(session.signature.vocabSize, longest);
  const right = inRunsOf(session, ids, SHORT);
  let size = longest;
  while (size > SHORT && !(apart(inRunsOf(session, ids, size), right) <= DOUBTFUL)) size = Math.floor(size / 2);
  return Math.min(longest, Math.max(size, SHORT));
}

/** What is asked of a session here. */
export type RunsIds = Pick<Session, 'signature' | 'ids' | 'logits' | 'run'>;

/** Root mean square of the difference over that of the second; infinite where there is nothing to compare: no numbers, or nothing but zeros. */
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

/** Logits after all of `ids`, of which the last `count` are computed in this run and the others lie in row 0 already. */
function lastLogits(session: RunsIds, ids: readonly number[], count: number): Float32Array {
  const { vocabSize } = session.signature;
  for (const [index, id] of ids.slice(-count).entries()) session.ids[index] = BigInt(id);
  const written = session.run({ first: 0, count: 1 }, [ids.length], count, 0, 1);
  return session.logits.subarray((written - 1) * vocabSize, written * vocabSize);
}
