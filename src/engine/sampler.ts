/**
 * How the next id is drawn from one row of logits: penalties → temperature → top-k → top-p → min-p → draw.
 * Each rule is a function of its own over `Candidates`, scratch memory of one vocabulary that is made once. No rule sorts the vocabulary.
 */
import type { Sampling, TokenReport } from '../bridge/protocol.ts';
import { Candidates } from './candidates.ts';
import type { Random } from './random.ts';
import type { Occurrences } from './sequence.ts';

/** What the sampler reads of a sequence. */
export interface Drawing {
  readonly request: { readonly sampling: Sampling; readonly logprobs?: number };
  readonly endIds: ReadonlySet<number>;
  /** End-of-sequence must not be drawn yet. */
  readonly mustGoOn: boolean;
  readonly occurrences: Occurrences | undefined;
  readonly random: Random;
}

export class Sampler {
  /** The logits after penalties, where a rule changes them. */
  readonly #changed: Float32Array;
  readonly #candidates: Candidates;

  constructor(vocabSize: number) {
    this.#changed = new Float32Array(vocabSize);
    this.#candidates = new Candidates(vocabSize);
  }

  /**
   * @param logits `[vocab]`, left as they are.
   * @throws Error when no id can be drawn: a logit is NaN or +Infinity, or all are -Infinity.
   */
  sample(logits: Float32Array, sequence: Drawing): TokenReport {
    const { sampling, logprobs } = sequence.request;
    const id = this.#draw(this.#penalize(logits, sequence), sampling, sequence.random);
    return logprobs === undefined ? { id } : { id, ...logProbabilities(logits, id, logprobs) };
  }

  #draw(logits: Float32Array, sampling: Sampling, random: Random): number {
    const likeliest = argMax(logits);
    // A draw per token, greedy or not, so that a seed's n-th token has the seed's n-th draw.
    const uniform = random.uniform();
    if (sampling.temperature === 0) return likeliest;
    const candidates = this.#candidates;
    candidates.fill(logits, likeliest, sampling.temperature);
    if (sampling.topK > 0) candidates.keepTopK(sampling.topK);
    candidates.weigh();
    if (sampling.topP < 1) candidates.keepTopP(sampling.topP);
    if (sampling.minP > 0) candidates.keepMinP(sampling.minP);
    return candidates.draw(uniform);
  }

  /** The logits themselves, or a changed copy. */
  #penalize(logits: Float32Array, { request, endIds, mustGoOn, occurrences }: Drawing): Float32Array {
    const masked = mustGoOn && endIds.size > 0;
    if (!occurrences && !masked) return logits;
    const changed = this.#changed;
    changed.set(logits);
    if (occurrences) {
      const { repetitionPenalty, frequencyPenalty, presencePenalty } = request.sampling;
      if (repetitionPenalty !== 1) penalizeRepetition(changed, occurrences, repetitionPenalty);
      if (frequencyPenalty !== 0) penalizeFrequency(changed, occurrences, frequencyPenalty);
      if (presencePenalty !== 0) penalizePresence(changed, occurrences, presencePenalty);
    }
    if (masked) for (const id of endIds) if (id in changed) changed[id] = Number.NEGATIVE_INFINITY;
    return changed;
  }
}

/** Of a float32: dividing by a tiny penalty must not make a logit infinite. */
const LARGEST = 3.4028234663852886e38;

/**
 * Every id of prompt or output, once: a positive logit is divided, a negative one multiplied.
 * Rule: Hugging Face `RepetitionPenaltyLogitsProcessor`, after Keskar et al., CTRL, arXiv:1909.05858.
 */
function penalizeRepetition(logits: Float32Array, { ids }: Occurrences, penalty: number): void {
  for (const id of ids) {
    const logit = logits[id] ?? 0;
    if (logit > 0 && logit <= LARGEST) logits[id] = Math.min(logit / penalty, LARGEST);
    else logits[id] = logit * penalty;
  }
}

/** Subtracts the penalty once per occurrence in the output. Rule: OpenAI API reference, `frequency_penalty`. */
function penalizeFrequency(logits: Float32Array, occurrences: Occurrences, penalty: number): void {
  for (let place = 0; place < occurrences.ids.length; place++) {
    const id = occurrences.ids[place] ?? 0;
    logits[id] = (logits[id] ?? 0) - (occurrences.outputCounts[place] ?? 0) * penalty;
  }
}

/** Subtracts the penalty once from every id that occurs in the output. Rule: OpenAI API reference, `presence_penalty`. */
function penalizePresence(logits: Float32Array, occurrences: Occurrences, penalty: number): void {
  for (let place = 0; place < occurrences.ids.length; place++) {
    const id = occurrences.ids[place] ?? 0;
    if ((occurrences.outputCounts[place] ?? 0) > 0) logits[id] = (logits[id] ?? 0) - penalty;
  }
}

/**
 * The id of the largest logit, the lowest id on a tie, in one pass that also finds what cannot be drawn from.
 * @throws Error for NaN, +Infinity, or nothing but -Infinity.
 */
export function argMax(logits: Float32Array): number {
  let best = Number.NEGATIVE_INFINITY;
  let id = -1;
  for (let index = 0; index < logits.length; index++) {
    const logit = logits[index] ?? 0;
    // Not `>`: NaN must come in here too.
    if (logit <= best) continue;
    if (!(logit < Number.POSITIVE_INFINITY)) throw new Error(`The logit of id ${index} is ${logit}`);
    best = logit;
    id = index;
  }
  if (id < 0) throw new Error('The logit of every id is -Infinity');
  return id;
}

/**
 * Log-probabilities under the model's own logits: log-softmax over the whole vocabulary, before penalties and temperature.
 * @param count how many of the likeliest to list, best first, lowest id first on a tie.
 */
function logProbabilities(
  logits: Float32Array,
  id: number,
  count: number,
): { logprob: number; top: { id: number; logprob: number }[] } {
  const most = logits[argMax(logits)] ?? 0;
  let sum = 0;
  /** What the last of a full list has: less does not get in. */
  let least = count > 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const top: { id: number; logprob: number }[] = [];
  for (let index = 0; index < logits.length; index++) {
    const logit = (logits[index] ?? 0) - most;
    sum += Math.exp(logit);
    if (logit <= least && top.length >= count) continue;
    let place = top.length;
    while (place > 0 && logit > (top[place - 1]?.logprob ?? 0)) place--;
    top.splice(place, 0, { id: index, logprob: logit });
    if (top.length > count) top.pop();
    if (top.length === count) least = top[count - 1]?.logprob ?? least;
  }
  const logSum = Math.log(sum);
  for (const entry of top) entry.logprob -= logSum;
  return { logprob: (logits[id] ?? 0) - most - logSum, top };
}
