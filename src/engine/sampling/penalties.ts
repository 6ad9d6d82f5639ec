/**
 * The penalties: change the logits of ids that occurred in prompt or output, before any other sampling rule.
 * Pure.
 */
import { NEUTRAL, namesOf, type ParameterOf, type Sampling } from '../../protocol/sampling.ts';

/** The ids that occurred, in parallel arrays, so that a step iterates over them without allocating. */
export class Occurrences {
  readonly ids: number[] = [];
  /** How often each of `ids` occurs in the output; 0 for an id that occurs in the prompt only. */
  readonly outputCounts: number[] = [];
  readonly #indexes = new Map<number, number>();

  /** @param output 1 for an id of the output, 0 for an id of the prompt. */
  add(id: number, output: 0 | 1): void {
    const index = this.#indexes.get(id);
    if (index === undefined) {
      this.#indexes.set(id, this.ids.length);
      this.ids.push(id);
      this.outputCounts.push(output);
    } else this.outputCounts[index] = (this.outputCounts[index] ?? 0) + output;
  }
}

/** The part of the occurrences that a penalty reads. */
type Occurred = Pick<Occurrences, 'ids' | 'outputCounts'>;

/** Changes a row of logits in place, at the ids that occurred. */
type Penalty = (logits: Float32Array, occurred: Occurred, penalty: number) => void;

/** In the order of application. */
const PENALTIES: Readonly<Record<ParameterOf<'penalty'>, Penalty>> = {
  repetitionPenalty: penalizeRepetition,
  frequencyPenalty: penalizeFrequency,
  presencePenalty: penalizePresence,
};
const NAMES = namesOf(PENALTIES);

/** True if any penalty is not neutral: the sequence must then count the ids that occur. */
export const hasPenalty = (sampling: Sampling): boolean => NAMES.some((name) => sampling[name] !== NEUTRAL[name]);

/** Applies every penalty that is not neutral to a row of logits, in place. */
export function penalize(logits: Float32Array, occurred: Occurred, sampling: Sampling): void {
  for (const name of NAMES) if (sampling[name] !== NEUTRAL[name]) PENALTIES[name](logits, occurred, sampling[name]);
}

/** The largest float32: a division by a tiny penalty must not make a logit infinite. */
const LARGEST = 3.4028234663852886e38;

/**
 * For every id of prompt or output, once: divides a positive logit, multiplies a negative one. Rule: Hugging
 * Face `RepetitionPenaltyLogitsProcessor`, after Keskar et al., CTRL, arXiv:1909.05858.
 */
function penalizeRepetition(logits: Float32Array, { ids }: Occurred, penalty: number): void {
  for (const id of ids) {
    const logit = logits[id] ?? 0;
    if (logit > 0 && logit <= LARGEST) logits[id] = Math.min(logit / penalty, LARGEST);
    else logits[id] = logit * penalty;
  }
}

/**
 * Subtracts the penalty once per occurrence in the output. Rule: OpenAI API reference, `frequency_penalty`.
 */
function penalizeFrequency(logits: Float32Array, { ids, outputCounts }: Occurred, penalty: number): void {
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index] ?? 0;
    logits[id] = (logits[id] ?? 0) - (outputCounts[index] ?? 0) * penalty;
  }
}

/** Subtracts the penalty once from every id in the output. Rule: OpenAI API reference, `presence_penalty`. */
function penalizePresence(logits: Float32Array, { ids, outputCounts }: Occurred, penalty: number): void {
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index] ?? 0;
    if ((outputCounts[index] ?? 0) > 0) logits[id] = (logits[id] ?? 0) - penalty;
  }
}
