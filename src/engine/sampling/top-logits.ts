/**
 * The best logits of one position, as a device computed them, and the decision if they suffice for a draw:
 * the ids that the filters keep must certainly be the ids that they keep of all logits. Pure.
 */
import { NEUTRAL, type Sampling } from '../../protocol/sampling.ts';
import { LARGEST, leastLogit, MIN_TEMPERATURE } from './candidates.ts';

/** The `K` best logits of one position. */
export interface TopLogits {
  /** `[K]`, largest first. */
  readonly values: Float32Array;
  /** `[K]`: the id of each value. Ids of equal values can be in any order. */
  readonly ids: Int32Array;
  /** Σ e^(logit − largest) over all ids. NaN or infinite if a logit is NaN or +Infinity. */
  readonly sum: number;
}

/** The part of a sequence that decides if all logits are needed. */
interface Rules {
  readonly request: { readonly sampling: Sampling; readonly logprobs?: number; readonly logitBias?: object };
  readonly occurrences: object | undefined;
  readonly constraint?: object | undefined;
}

/** Ids that can be drawn: the likeliest first, the lowest id first among equals. */
export interface Ranked {
  readonly ids: Int32Array;
  readonly values: Float32Array;
  /** Number of valid entries. */
  readonly count: number;
  /** An upper bound of the logits outside of the list; -Infinity if there are none. */
  readonly bound: number;
  /** Number of ids outside of the list. */
  readonly others: number;
  /** Bounds of Σ e^(logit − first of the list) over the ids outside of the list. */
  readonly rest: readonly [low: number, high: number];
  /** True if an id that may not be drawn is outside of the list. */
  readonly hidesExcluded: boolean;
}

/**
 * A logit outside of the list can be larger than the last one by less than this: TopK of CUDA has taken
 * numbers for equal that are 1e-5 apart, and the graph selects in up to four rounds.
 */
export const EDGE_MARGIN = 1e-4;
/**
 * Larger than the relative error of the device's sum. A thread of a device adds up a part of the vocabulary
 * in float32, one number after the other. If these numbers are equal, each addition can round the same way:
 * the error is up to 5.6e-5 for 262 144 ids (WebGPU in software), and grows with their number.
 */
const sumMarginOf = (vocabSize: number): number => 2 ** -14 * Math.max(1, vocabSize / 2 ** 17);
/** Larger than the relative error of the weights of `Candidates`, and of their sums. */
const WEIGHT_MARGIN = 1e-5;
/** e to the power of a smaller number has fewer digits than other numbers, or is 0. */
const LEAST_EXPONENT = -700;

/**
 * True if the best `count` logits can suffice for a draw. Rules that change logits need all of them, and so
 * does a draw without filters. End ids that may not be drawn yet are removed from the list.
 */
export function drawsFromTop({ request, occurrences, constraint }: Rules, count: number): boolean {
  const { logitBias, logprobs, sampling } = request;
  if (occurrences || constraint || logitBias || logprobs !== undefined) return false;
  const { temperature, topK, topP, minP } = sampling;
  if (temperature === 0 || (topK > 0 && topK < count)) return true;
  return minP !== NEUTRAL.minP ? topK === 0 || topP === NEUTRAL.topP : topK === 0 && topP !== NEUTRAL.topP;
}

/**
 * The ids of the list that may be drawn.
 * @param excluded ids that may not be drawn
 * @returns undefined if a number is not finite, if an id is not in the vocabulary, or if values and sum
 * contradict each other
 */
export function rank(
  { values, ids, sum }: TopLogits,
  excluded: ReadonlySet<number>,
  vocabSize: number,
): Ranked | undefined {
  const { length } = values;
  const largest = values[0] ?? Number.NaN;
  const ranked = { ids: new Int32Array(length), values: new Float32Array(length) };
  let [count, inside, last] = [0, 0, largest];
  for (let index = 0; index < length; index++) {
    const [value, id] = [values[index] ?? Number.NaN, ids[index] ?? -1];
    // Devices pad with the lowest float32 where a logit is -Infinity.
    if (!(Math.abs(value) < LARGEST) || value > last || id < 0 || id >= vocabSize) return undefined;
    inside += Math.exp(value - largest);
    last = value;
    if (!excluded.has(id)) insert(ranked, count++, id, value);
  }
  const margin = sumMarginOf(vocabSize);
  if (!(sum * (1 + margin) >= inside && sum < Number.POSITIVE_INFINITY)) return undefined;
  const others = vocabSize - length;
  const bound = others > 0 ? last + EDGE_MARGIN : Number.NEGATIVE_INFINITY;
  const first = ranked.values[0] ?? 0;
  const restOf = (total: number): number => (total > inside ? (total - inside) * Math.exp(largest - first) : 0);
  const most = Math.min(restOf(sum * (1 + margin)), others * Math.exp(bound - first));
  const least = Math.min(restOf(sum * (1 - margin)), most);
  let hidden = length - count;
  for (const id of excluded) if (id >= 0 && id < vocabSize) hidden -= 1;
  return { ...ranked, count, bound, others, rest: [least, most], hidesExcluded: hidden < 0 };
}

/** Adds an entry behind `count` others; before those with the same value and a higher id. */
function insert({ ids, values }: Pick<Ranked, 'ids' | 'values'>, count: number, id: number, value: number): void {
  let at = count;
  while (at > 0 && values[at - 1] === value && (ids[at - 1] ?? 0) > id) {
    ids[at] = ids[at - 1] ?? 0;
    at -= 1;
  }
  ids[at] = id;
  // Turns -0 into 0, as `Candidates` does.
  values[count] = value + 0;
}

/**
 * The number of likeliest ids that remain after the filters. With top-k it is the number after top-k, and the
 * caller applies the other filters to these ids.
 * @returns undefined if the list does not determine them.
 */
export function keptOf(ranked: Ranked, sampling: Sampling): number | undefined {
  const { temperature, topK, topP } = sampling;
  if (temperature === 0) return ifCertain(ranked, 1);
  const all = ranked.others > 0 ? Number.POSITIVE_INFINITY : ranked.count;
  const first = Math.min(topK > 0 ? topK : all, all);
  if (topP === NEUTRAL.topP) return ifCertain(ranked, Math.min(first, likelyOf(ranked, sampling)));
  return topK > 0 ? ifCertain(ranked, first) : nucleusOf(ranked, sampling);
}

/** The number itself if no id outside of the list can be among as many likeliest ids. */
const ifCertain = ({ values, count, bound }: Ranked, kept: number): number | undefined =>
  kept > 0 && kept <= count && (values[kept - 1] ?? bound) > bound ? kept : undefined;

/** Number of ids that min-p keeps; Infinity if ids outside of the list can be among them. */
function likelyOf({ values, count, bound }: Ranked, { minP, temperature }: Sampling): number {
  if (minP === NEUTRAL.minP) return Number.POSITIVE_INFINITY;
  const least = Math.fround(leastLogit(values[0] ?? 0, temperature, minP));
  if (least <= bound) return Number.POSITIVE_INFINITY;
  let kept = 0;
  while (kept < count && (values[kept] ?? 0) >= least) kept += 1;
  return kept;
}

/** Number of ids that top-p and min-p keep. */
function nucleusOf(ranked: Ranked, sampling: Sampling): number | undefined {
  const { values, count, hidesExcluded } = ranked;
  if (hidesExcluded) return undefined;
  const likely = likelyOf(ranked, sampling);
  const inverse = 1 / Math.max(sampling.temperature, MIN_TEMPERATURE);
  const sums: number[] = [];
  let inside = 0;
  for (let index = 0; index < count; index++) {
    inside += Math.exp(((values[index] ?? 0) - (values[0] ?? 0)) * inverse);
    sums.push(inside);
  }
  const [low, high] = restAt(ranked, inverse);
  const reach = (limit: number): number => {
    const index = sums.findIndex((sum) => sum >= limit);
    return Math.min(likely, index < 0 ? Number.POSITIVE_INFINITY : index + 1);
  };
  const fewest = reach(sampling.topP * (inside + low) * (1 - WEIGHT_MARGIN));
  return fewest === reach(sampling.topP * (inside + high) * (1 + WEIGHT_MARGIN))
    ? ifCertain(ranked, fewest)
    : undefined;
}

/**
 * Bounds of Σ e^((logit − first of the list) / temperature) over the ids outside of the list. At temperature
 * 1 they are those of the device's sum. Otherwise each term is a power of a number, and the sum and the
 * largest possible value of these numbers are known: the power is convex, or concave above temperature 1.
 */
function restAt({ values, others, bound, rest }: Ranked, inverse: number): [low: number, high: number] {
  const [least, most] = rest;
  if (others === 0) return [0, 0];
  const exponent = bound - (values[0] ?? 0);
  // The powers can have weight where the numbers have none.
  if (exponent < LEAST_EXPONENT) return [0, others * Math.exp(exponent * inverse)];
  const edge = Math.exp(exponent);
  const atEdge = (sum: number): number => (sum === 0 ? 0 : sum * edge ** (inverse - 1));
  const spread = (sum: number): number => others * (sum / others) ** inverse;
  return inverse >= 1 ? [spread(least), atEdge(most)] : [atEdge(least), spread(most)];
}
