/**
 * How the next id is drawn from one row of logits: penalties → temperature → top-k → top-p → min-p → draw.
 * The row is copied into the memory of the passes (10 µs for 49 152 ids), so the penalties may change it, and only at ids that occurred.
 */
import type { Sampling, TokenReport } from '../../protocol/messages.ts';
import type { Occurrences } from '../sequence.ts';
import { Candidates } from './candidates.ts';
import type { Random } from './random.ts';

/** What the sampler reads of a sequence. */
export interface Drawing {
  readonly request: { readonly sampling: Sampling; readonly logprobs?: number };
  readonly endIds: ReadonlySet<number>;
  /** End-of-sequence must not be drawn yet. */
  readonly belowMinTokens: boolean;
  readonly occurrences: Occurrences | undefined;
  readonly random: Random;
}

export class Sampler {
  readonly #candidates: Candidates;

  constructor(vocabSize: number) {
    this.#candidates = new Candidates(vocabSize);
  }

  /**
   * @param logits `[vocab]`, left as they are.
   * @throws Error when no id can be drawn: a logit is NaN or +Infinity, or all are -Infinity.
   */
  sample(logits: Float32Array, sequence: Drawing): TokenReport {
    const { sampling, logprobs } = sequence.request;
    this.#candidates.logits.set(logits);
    penalize(this.#candidates.logits, sequence);
    const id = this.#draw(sampling, sequence.random);
    return logprobs === undefined ? { id } : { id, ...this.#logProbabilities(logits, id, logprobs) };
  }

  #draw({ temperature, topK, topP, minP }: Sampling, random: Random): number {
    const likeliest = this.#likeliest();
    // A draw per token, greedy or not, so that a seed's n-th token has the seed's n-th draw.
    const uniform = random.uniform();
    if (temperature === 0) return likeliest;
    const candidates = this.#candidates;
    candidates.setTemperature(temperature);
    if (topK > 0) candidates.keepTopK(topK);
    if (topP < 1) candidates.keepTopP(topP);
    if (minP > 0) candidates.keepMinP(minP);
    return candidates.draw(uniform);
  }

  #likeliest(): number {
    const id = this.#candidates.argMax();
    // The plain loop says which logit it is.
    return id < 0 ? argMax(this.#candidates.logits) : id;
  }

  /**
   * Log-probabilities under the model's own logits: log-softmax over the whole vocabulary, before penalties and temperature; good to 1e-6.
   * @param count how many of the likeliest to list, best first, lowest id first on a tie; an id of probability 0 is not among them.
   */
  #logProbabilities(
    logits: Float32Array,
    id: number,
    count: number,
  ): { logprob: number; top: { id: number; logprob: number }[] } {
    const candidates = this.#candidates;
    candidates.logits.set(logits);
    const most = logits[this.#likeliest()] ?? 0;
    const logSum = candidates.logSum();
    const logprob = (logits[id] ?? 0) - most - logSum;
    if (count === 0) return { logprob, top: [] };
    candidates.keepTopK(count);
    const top = candidates.entries().map((entry) => ({ id: entry.id, logprob: entry.logit - most - logSum }));
    return { logprob, top: top.sort((a, b) => b.logprob - a.logprob || a.id - b.id) };
  }
}

/** Changes a row by the sequence's penalties, and masks what must not be drawn. */
function penalize(logits: Float32Array, { request, endIds, belowMinTokens, occurrences }: Drawing): void {
  if (occurrences) {
    const { repetitionPenalty, frequencyPenalty, presencePenalty } = request.sampling;
    if (repetitionPenalty !== 1) penalizeRepetition(logits, occurrences, repetitionPenalty);
    if (frequencyPenalty !== 0) penalizeFrequency(logits, occurrences, frequencyPenalty);
    if (presencePenalty !== 0) penalizePresence(logits, occurrences, presencePenalty);
  }
  if (belowMinTokens) for (const id of endIds) if (id in logits) logits[id] = Number.NEGATIVE_INFINITY;
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
