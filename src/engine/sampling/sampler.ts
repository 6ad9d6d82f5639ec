/**
 * Draws the next id from one row of logits: logit bias → penalties → grammar → temperature → top-k → top-p →
 * min-p → draw. Copies the row into the memory of the kernels (10 µs for 49 152 ids), so that bias, penalties
 * and grammar do not change the caller's logits.
 */
import type { LogitBias } from '../../protocol/logit-bias.ts';
import type { PromptScore, TokenReport } from '../../protocol/messages.ts';
import { NEUTRAL, type Sampling } from '../../protocol/sampling.ts';
import { Candidates } from './candidates.ts';
import type { Constraint } from './constraint.ts';
import { type Occurrences, penalize } from './penalties.ts';
import type { Random } from './random.ts';
import { drawsFromTop, keptOf, rank, type TopLogits } from './top-logits.ts';

/** Stands for the log-probability -Infinity, which JSON lacks. */
const MIN_LOGPROB = -9999;
const NONE: ReadonlySet<number> = new Set();

/** The part of a sequence that the sampler reads. */
export interface SampledSequence {
  readonly request: {
    readonly sampling: Sampling;
    readonly logprobs?: number;
    readonly logitBias?: readonly LogitBias[];
  };
  readonly endIds: ReadonlySet<number>;
  /** True while no end id may be drawn. */
  readonly belowMinTokens: boolean;
  readonly occurrences: Occurrences | undefined;
  /** The grammar of the output; absent: any output. */
  readonly constraint?: Constraint | undefined;
  readonly random: Random;
}

export class Sampler {
  readonly #candidates: Candidates;

  constructor(vocabSize: number) {
    this.#candidates = new Candidates(vocabSize);
  }

  /**
   * Draws the next id. A grammar that leaves one id needs no draw, but also takes a random number.
   * @param logits `[vocab]`, not changed.
   * @returns the id; with `logprobs`, also its log-probability and the likeliest ids with theirs. They are
   * those of the model's own distribution: neither a grammar nor a sampling parameter changes them.
   * @throws InvalidLogits when no id can be drawn: a logit is NaN or +Infinity, or all are -Infinity; with a
   * grammar, the logits of the ids that it allows.
   */
  sample(logits: Float32Array, sequence: SampledSequence): TokenReport {
    const { logprobs } = sequence.request;
    const only = sequence.constraint?.onlyId(sequence);
    const id = only === undefined ? this.#sampleId(logits, sequence) : takeOnly(only, logits, sequence.random);
    return logprobs === undefined ? { id } : { id, ...this.#logProbabilities(logits, id, logprobs) };
  }

  /**
   * Draws the id that `sample` would draw from all logits, if the best logits determine it. Takes a random
   * number only if it draws.
   * @returns undefined if the best logits do not suffice: the caller then calls `sample`.
   */
  sampleTop(top: TopLogits, sequence: SampledSequence): TokenReport | undefined {
    if (!drawsFromTop(sequence, top.values.length)) return undefined;
    const { sampling } = sequence.request;
    const candidates = this.#candidates;
    const ranked = rank(top, sequence.belowMinTokens ? sequence.endIds : NONE, candidates.logits.length);
    const kept = ranked && keptOf(ranked, sampling);
    if (!kept) return undefined;
    const uniform = sequence.random.uniform();
    if (sampling.temperature === 0) return { id: ranked.ids[0] ?? 0 };
    candidates.load(ranked.ids, ranked.values, kept);
    candidates.setTemperature(sampling.temperature);
    // Top-k is applied, and so is top-p without top-k.
    const topP = sampling.topK > 0 ? sampling.topP : NEUTRAL.topP;
    candidates.filter({ ...sampling, topK: NEUTRAL.topK, topP });
    return { id: candidates.draw(uniform) };
  }

  /**
   * Scores an id of the prompt under the logits `[vocab]` of the position before it.
   * @param count maximum length of `top`.
   * @throws InvalidLogits when the logits are no distribution: a logit is NaN or +Infinity, or all are
   * -Infinity.
   */
  score(logits: Float32Array, id: number, count: number): PromptScore {
    const { logprob, top } = this.#logProbabilities(logits, id, count);
    return { id, logprob: Math.max(MIN_LOGPROB, logprob), top };
  }

  #sampleId(logits: Float32Array, sequence: SampledSequence): number {
    const { sampling, logitBias } = sequence.request;
    const { constraint, endIds } = sequence;
    const row = this.#candidates.logits;
    // End ids are allowed while the output is complete, whatever the grammar says about their texts.
    const mayEnd = constraint?.mayEnd(sequence) ?? !sequence.belowMinTokens;
    const mask = constraint?.mask;
    if (mask && 'ids' in mask) copyOnly(row, logits, mayEnd ? [...mask.ids, ...endIds] : without(mask.ids, endIds));
    else row.set(logits);
    // Neither a bias nor a penalty changes a logit of -Infinity.
    if (logitBias) addBias(row, logitBias);
    if (sequence.occurrences) penalize(row, sequence.occurrences, sampling);
    if (mask && 'bits' in mask) this.#candidates.allowOnly(mask.bits, endIds, mayEnd);
    else if (!mask && !mayEnd) exclude(row, endIds);
    return this.#draw(sampling, sequence.random, mask !== undefined);
  }

  #draw(sampling: Sampling, random: Random, constrained: boolean): number {
    const likeliest = this.#likeliest(constrained ? NO_ALLOWED_ID : NO_ID);
    // A greedy draw also consumes a random number, so that the n-th token of a seed always gets the n-th
    // number.
    const uniform = random.uniform();
    if (sampling.temperature === 0) return likeliest;
    const candidates = this.#candidates;
    candidates.setTemperature(sampling.temperature);
    candidates.filter(sampling);
    return candidates.draw(uniform);
  }

  /** @param none the error if all logits are -Infinity */
  #likeliest(none = NO_ID): number {
    const id = this.#candidates.argMax();
    // No id can be drawn. `argMax` throws an error that names the bad logit.
    return id < 0 ? argMax(this.#candidates.logits, none) : id;
  }

  /**
   * Log-probabilities of the model's unchanged logits: log-softmax over the whole vocabulary, before bias,
   * penalties and temperature, accurate to 1e-6.
   * @param count maximum length of `top`: the likeliest ids, best first, lowest id first on a tie, without
   * ids of probability 0.
   */
  #logProbabilities(
    logits: Float32Array,
    id: number,
    count: number,
  ): { logprob: number; top: { id: number; logprob: number }[] } {
    const candidates = this.#candidates;
    candidates.logits.set(logits);
    const largest = logits[this.#likeliest()] ?? 0;
    const logSum = candidates.logSum();
    const logprob = (logits[id] ?? 0) - largest - logSum;
    if (count === 0) return { logprob, top: [] };
    candidates.keepTopK(count);
    const top = candidates.entries().map((entry) => ({ id: entry.id, logprob: entry.logit - largest - logSum }));
    return { logprob, top: top.sort((a, b) => b.logprob - a.logprob || a.id - b.id) };
  }
}

/**
 * Adds a bias to the logits of some ids, in place. An id of probability 0 keeps it. Rule: OpenAI API
 * reference, `logit_bias`.
 */
function addBias(logits: Float32Array, biases: readonly LogitBias[]): void {
  for (const [id, bias] of biases) logits[id] = (logits[id] ?? 0) + bias;
}

/** Sets the logits of these ids to -Infinity, which is probability 0. */
function exclude(logits: Float32Array, ids: ReadonlySet<number>): void {
  for (const id of ids) if (id in logits) logits[id] = Number.NEGATIVE_INFINITY;
}

/** Copies the logits of these ids that have one; all others become -Infinity. */
function copyOnly(row: Float32Array, logits: Float32Array, ids: readonly number[]): void {
  row.fill(Number.NEGATIVE_INFINITY);
  for (const id of ids) row[id] = logits[id] ?? Number.NEGATIVE_INFINITY;
}

const without = (ids: Int32Array, excluded: ReadonlySet<number>): number[] =>
  Array.from(ids).filter((id) => !excluded.has(id));

/**
 * The only id that the grammar allows. Takes a random number, so that the n-th token of a seed always gets
 * the n-th number.
 * @throws InvalidLogits if the model excludes the id, or computed no number
 */
function takeOnly(id: number, logits: Float32Array, random: Random): number {
  random.uniform();
  const logit = logits[id];
  if (logit !== undefined && Number.isFinite(logit)) return id;
  const isExcluded = logit === Number.NEGATIVE_INFINITY || logit === undefined;
  throw new InvalidLogits(isExcluded ? NO_ALLOWED_ID : invalidLogit(id, logit));
}

/** A sentence for an operator, with the weights to use instead. */
type Sentence = (weights: string) => string;

/** No id can be drawn: damaged weights, and weights that a device computes wrong, give no numbers. */
export class InvalidLogits extends Error {
  override readonly name = 'InvalidLogits';
  /** The message for a model whose file has one dtype, which `--dtype` cannot change. */
  readonly messageOfOneDtype: string;

  constructor(sentence: Sentence) {
    super(sentence('other weights (--dtype)'));
    this.messageOfOneDtype = sentence('another file of the model');
  }
}

const withRemedy =
  (problem: string): Sentence =>
  (weights) =>
    `use ${weights}, or another --device: ${problem}`;
const NO_ID = withRemedy('the logit of every id is -Infinity');
const NO_ALLOWED_ID: Sentence = (weights) =>
  `use another schema, other end ids or ${weights}: no id that the grammar allows can be drawn, because their logits are -Infinity`;
const invalidLogit = (id: number, logit: number): Sentence => withRemedy(`the logit of id ${id} is ${logit}`);

/**
 * The id of the largest logit, the lowest id on a tie. The same pass finds an invalid logit.
 * @param none the error if all logits are -Infinity
 * @throws InvalidLogits if a logit is NaN or +Infinity, or if all are -Infinity.
 */
export function argMax(logits: Float32Array, none = NO_ID): number {
  let best = Number.NEGATIVE_INFINITY;
  let id = -1;
  for (let index = 0; index < logits.length; index++) {
    const logit = logits[index] ?? 0;
    // `logit > best` would skip NaN.
    if (logit <= best) continue;
    if (!(logit < Number.POSITIVE_INFINITY)) throw new InvalidLogits(invalidLogit(index, logit));
    best = logit;
    id = index;
  }
  if (id < 0) throw new InvalidLogits(none);
  return id;
}
