/**
 * What is run before anybody waits: the first runs allocate what later ones reuse and show whether the model can be driven at all; code that
 * has run before is faster; and how the runtime rounds is found out.
 */
import type { SequenceRequest } from '../bridge/protocol.ts';
import type { Session } from './ort/session.ts';

const PROMPT = 16;
const TOKENS = 4;

/** Ids that differ, so that attention has something to weigh. */
const promptOf = (vocabSize: number, length: number): number[] =>
  Array.from({ length }, (_, index) => (index * 7919) % vocabSize);

/** A short sequence that uses every rule of the sampler. Its id is nobody's. */
export function rehearsalRequest(vocabSize: number, context: number): SequenceRequest {
  const prompt = promptOf(vocabSize, Math.min(PROMPT, context - 1));
  return {
    id: -1,
    prompt,
    maxTokens: Math.min(TOKENS, context - prompt.length),
    minTokens: 0,
    endIds: [],
    sampling: {
      temperature: 1,
      topK: 40,
      topP: 0.95,
      minP: 0.02,
      repetitionPenalty: 1.1,
      frequencyPenalty: 0.1,
      presencePenalty: 0.1,
      seed: 0,
    },
  };
}

/**
 * How far the logits of one position are apart when it is computed alone, as decoding does, and behind others, as a prompt's or a draft's is.
 * Both are right; the order of sums differs. Where activations are quantized (4- and 8-bit weights), the last bits decide what is rounded up
 * and the difference grows from 1e-6 to 1e-2: decoding with drafts would then give other tokens in close calls. Uses row 0 as scratch.
 * @returns root mean square of the difference over that of the logits; 0 when the context has no room for two ids.
 */
export function differenceOfRuns(session: Session, context: number): number {
  const ids = promptOf(session.signature.vocabSize, Math.min(PROMPT, context));
  if (ids.length < 2) return 0;
  const behind = lastLogits(session, ids, ids.length).slice();
  return apart(lastLogits(session, ids, 1), behind);
}

/** Ids of a prompt that show whether a device computes long runs right, and of runs that are taken to be right. */
const LONG = 64;
const SHORT = 16;
/** Half floats round by less than 0.01; what SwiftShader gives for 64 tokens in one run is 0.06 apart, for 32 tokens 0.31. */
const WRONG = 0.03;

/**
 * Drivers have bugs that show in long runs only, and an operator that a provider lacks can leave a device with another cache than was written:
 * what a device gives for a prompt in one run is held against what it gives for it in short ones, and that against one id at a time. Seen so
 * far: SwiftShader is wrong from 32 tokens a run on. Uses row 0 as scratch.
 * @param most tokens of a run that are wanted.
 * @returns most tokens of a run that may be trusted, at most `most`.
 * @throws Error for a device that does not give the same for one id at a time.
 */
export function trustedRun(session: Session, context: number, most: number): number {
  const { vocabSize } = session.signature;
  const few = promptOf(vocabSize, Math.min(SHORT, context));
  const alone = apart(inRunsOf(session, few, 1), inRunsOf(session, few, few.length));
  if (alone > WRONG)
    throw new Error(`it computes another token alone than behind others (${Math.round(alone * 100)} % apart)`);
  const ids = promptOf(vocabSize, Math.min(LONG, context));
  const right = inRunsOf(session, ids, SHORT);
  const longest = Math.min(most, ids.length);
  for (let size = longest; size > SHORT; size = Math.floor(size / 2))
    if (apart(inRunsOf(session, ids, size), right) <= WRONG) return size === longest ? most : size;
  return Math.min(most, SHORT);
}

/** Root mean square of the difference over that of the second. */
function apart(logits: Float32Array, others: Float32Array): number {
  let [difference, size] = [0, 0];
  for (const [id, logit] of others.entries()) {
    difference += (logit - (logits[id] ?? 0)) ** 2;
    size += logit ** 2;
  }
  return size > 0 ? Math.sqrt(difference / size) : 0;
}

/** Logits after all of `ids`, computed from an empty row in runs of `size`. */
function inRunsOf(session: Session, ids: readonly number[], size: number): Float32Array {
  for (let end = size; end < ids.length; end += size) lastLogits(session, ids.slice(0, end), size);
  return lastLogits(session, ids, ids.length % size || size).slice();
}

/** Logits after all of `ids`, of which the last `count` are computed in this run and the others lie in row 0 already. */
function lastLogits(session: Session, ids: readonly number[], count: number): Float32Array {
  const { vocabSize } = session.signature;
  for (const [index, id] of ids.slice(-count).entries()) session.ids[index] = BigInt(id);
  const written = session.run({ first: 0, count: 1 }, [ids.length], count, 0, 1);
  return session.logits.subarray((written - 1) * vocabSize, written * vocabSize);
}
