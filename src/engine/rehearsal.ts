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
  const { vocabSize } = session.signature;
  const ids = promptOf(vocabSize, Math.min(PROMPT, context));
  if (ids.length < 2) return 0;
  const behind = lastLogits(session, ids, ids.length).slice();
  const alone = lastLogits(session, ids, 1);
  let [difference, size] = [0, 0];
  for (const [id, logit] of behind.entries()) {
    difference += (logit - (alone[id] ?? 0)) ** 2;
    size += logit ** 2;
  }
  return size > 0 ? Math.sqrt(difference / size) : 0;
}

/** Logits after all of `ids`, of which the last `count` are computed in this run and the others lie in row 0 already. */
function lastLogits(session: Session, ids: readonly number[], count: number): Float32Array {
  const { vocabSize } = session.signature;
  for (const [index, id] of ids.slice(-count).entries()) session.ids[index] = BigInt(id);
  session.mask.fill(1n, 0, ids.length);
  const written = session.run({ first: 0, count: 1 }, count, ids.length, 0, 1);
  return session.logits.subarray((written - 1) * vocabSize, written * vocabSize);
}
