/**
 * Checks the numbers that an open session computes, before it serves: the rounding difference between runs,
 * and the longest run that the device computes correctly. Overwrites row 0 of the KV cache.
 */
import type { Session } from '../ort/session.ts';
import { LoadError } from './load-error.ts';

/** Number of ids in a short prompt. */
export const PROMPT_LENGTH = 16;

/** A prompt of different ids below `idLimit`, so that attention weights differ. */
export const promptOf = (idLimit: number, length: number): number[] =>
  Array.from({ length }, (_, index) => (index * 7919) % idLimit);

/**
 * Compares two computations of the logits of one position: alone in a run, as in decoding, and in a run with
 * the positions before it, as in a prompt or a draft. Both are correct; the order of the sums differs. If
 * activations are quantized (4- and 8-bit weights), the last bits decide how a value is rounded, and the
 * difference grows from 1e-6 to 1e-2: decoding with drafts would then give other tokens if two logits are
 * close.
 * @param inspect receives the logits of `logitsOfPrompt`, unless the context is shorter than two ids
 * @returns root mean square of the difference, divided by that of the logits; 0 if the context is shorter
 * than two ids, infinite if the logits are not numbers.
 * @throws LoadError `no_logits` if all logits are 0
 */
export function roundingBetweenRuns(
  session: CheckedSession,
  context: number,
  inspect: (logits: Float32Array) => void = () => undefined,
): number {
  const ids = promptOf(session.idLimit, Math.min(PROMPT_LENGTH, context));
  if (ids.length < 2) return 0;
  const withPrefix = lastLogits(session, ids, ids.length).slice();
  inspect(withPrefix);
  requireAnyLogit(withPrefix);
  return relativeDifference(lastLogits(session, ids, 1), withPrefix);
}

/**
 * A model whose weights were lost, or which the runtime computes without them, gives logits of 0.
 * @throws LoadError `no_logits` if all logits are 0
 */
function requireAnyLogit(logits: Float32Array): void {
  if (logits.every((logit) => logit === 0)) throw new LoadError({ code: 'no_logits' });
}

/**
 * Lengths of the prompts that test long runs. The second one finds most of the known faults. A device can
 * compute a run that is longer than an attention window in another way than a shorter one: measured with a
 * window of 32, SwiftShader was wrong in a run of 32 tokens and right in one of 64.
 */
export const PROBES = [32, 64, 512];
/** Length of the runs that are assumed correct. */
const SHORT_RUN = 16;
/**
 * A larger difference from short runs means an incorrect run. Measured: half floats differ by less than 0.01,
 * SwiftShader by 0.06 for 64 tokens in one run and by 0.31 for 32.
 */
const MAX_RUN_DIFFERENCE = 0.03;
/**
 * A larger difference from single-token runs means an incorrect device. Measured: 0.34 for float32 attention
 * on a CUDA device, which reads another cache than it writes.
 */
export const MAX_DEVICE_DIFFERENCE = 0.1;

/**
 * Compares the logits of one long run with the logits of several short runs, and short runs with runs of one
 * id. Some driver bugs occur only in long runs. An operator that the execution provider lacks can make a
 * device read another cache than it wrote.
 * @param max requested number of tokens in a run; a run longer than 512 is assumed correct if a run of 512
 * is.
 * @returns number of tokens in the longest correct run, at most `max`.
 * @throws LoadError `computes_wrong` if the logits of runs of one id differ, or are not numbers.
 */
export function longestCorrectRun(session: CheckedSession, context: number, max: number): number {
  const ids = promptOf(session.idLimit, Math.min(SHORT_RUN, context));
  const singleDifference = relativeDifference(inRunsOf(session, ids, 1), inRunsOf(session, ids, ids.length));
  if (!(singleDifference <= MAX_DEVICE_DIFFERENCE)) {
    throw new LoadError({
      code: 'computes_wrong',
      ...(Number.isFinite(singleDifference) && { difference: singleDifference }),
    });
  }
  for (const length of PROBES) {
    const longest = Math.min(length, context, max);
    const correct = correctUpTo(session, longest);
    if (correct < longest) return correct;
  }
  return max;
}

/**
 * A larger difference from the CPU means an incorrect device. Measured for a prompt of 16 ids: SwiftShader
 * differs by 1e-6 with float32 weights and by 0.006 if the CPU quantizes activations. In a model of 30
 * layers, the CPU with quantized activations or half floats differs from the CPU without by 0.02. A WebGPU
 * device that ignores `softcap` differs by 1.05.
 */
const MAX_CPU_DIFFERENCE = 0.2;

/** The logits after a short prompt, computed in one run. Overwrites row 0. */
export function logitsOfPrompt(session: CheckedSession, context: number): Float32Array {
  const ids = promptOf(session.idLimit, Math.min(PROMPT_LENGTH, context));
  return lastLogits(session, ids, ids.length).slice();
}

/**
 * Compares the logits of a device with those of the CPU, after the same prompt.
 * @returns root mean square of the difference, divided by that of the CPU's logits.
 * @throws LoadError `computes_wrong` if the difference is too large.
 */
export function differenceFromCpu(onDevice: Float32Array, onCpu: Float32Array): number {
  const difference = relativeDifference(onDevice, onCpu);
  if (difference <= MAX_CPU_DIFFERENCE) return difference;
  throw new LoadError({
    code: 'computes_wrong',
    comparedWith: 'cpu',
    ...(Number.isFinite(difference) && { difference }),
  });
}

/**
 * The longest run, up to `longest`, whose logits equal those of short runs, for a prompt of `longest` ids.
 */
function correctUpTo(session: CheckedSession, longest: number): number {
  const ids = promptOf(session.idLimit, longest);
  const expected = inRunsOf(session, ids, SHORT_RUN);
  let size = longest;
  while (size > SHORT_RUN && !(relativeDifference(inRunsOf(session, ids, size), expected) <= MAX_RUN_DIFFERENCE))
    size = Math.floor(size / 2);
  return Math.min(longest, Math.max(size, SHORT_RUN));
}

/** The members of a session that the checks use. */
export type CheckedSession = Pick<Session, 'signature' | 'idLimit' | 'ids' | 'logits' | 'run'>;

/** Root mean square of the difference, divided by that of `others`; infinite for NaN and for all zeros. */
export function relativeDifference(logits: Float32Array, others: Float32Array): number {
  let [difference, size] = [0, 0];
  for (const [id, logit] of others.entries()) {
    difference += (logit - (logits[id] ?? 0)) ** 2;
    size += logit ** 2;
  }
  const ratio = Math.sqrt(difference / size);
  return Number.isFinite(ratio) ? ratio : Number.POSITIVE_INFINITY;
}

/** Logits after all of `ids`, computed from an empty row in runs of `size`. */
function inRunsOf(session: CheckedSession, ids: readonly number[], size: number): Float32Array {
  for (let end = size; end < ids.length; end += size) lastLogits(session, ids.slice(0, end), size);
  return lastLogits(session, ids, ids.length % size || size).slice();
}

/** Logits after all of `ids`. Runs the last `count` ids; the others are already in row 0. */
function lastLogits(session: CheckedSession, ids: readonly number[], count: number): Float32Array {
  const { vocabSize } = session.signature;
  for (const [index, id] of ids.slice(-count).entries()) session.ids[index] = BigInt(id);
  const rows = { first: 0, count: 1 };
  const written = session.run({ rows, lengths: [ids.length], tokens: count, logitsAt: 0, keep: 1 });
  return session.logits.subarray((written - 1) * vocabSize, written * vocabSize);
}
