/**
 * The table of sampling parameters: plain data that both processes import. A row defines the type, the field
 * of a request with its error sentence, the engine's check, the neutral value, the warm-up value, and the key
 * of the model's default. A new parameter is a row here and a rule in `engine/sampling/`. Pure.
 */

/** The allowed values of a parameter. NaN and infinite numbers are in no range. */
export interface Range {
  readonly min: number;
  /** `min` itself is not in the range. */
  readonly exclusiveMin?: true;
  /** Absent: every finite number from `min` up. */
  readonly max?: number;
  /** Whole numbers only, up to 2⁵³−1. */
  readonly whole?: true;
}

/**
 * The part of a draw that a parameter controls, in the order of application:
 * - `penalty`: changes the logits of ids that occurred;
 * - `temperature`: divides the logits, or makes the draw greedy;
 * - `filter`: removes unlikely ids from the candidates;
 * - `random`: seeds the generator.
 */
export type Stage = 'penalty' | 'temperature' | 'filter' | 'random';

/** One row of the table. */
export interface SamplingParameter {
  readonly stage: Stage;
  /** Name of the field in a request. */
  readonly field: string;
  /** Description in openapi.yaml. The contract adds the value that counts when the field is absent. */
  readonly description: string;
  /** The values that a request may have. */
  readonly range: Range;
  /**
   * The values that the engine accepts and that a model's default may have. Includes `range`. Absent: the
   * same as `range`.
   */
  readonly engineRange?: Range;
  /** The key of the model's default in `generation_config.json`. Absent: models have no default. */
  readonly modelKey?: string;
  /**
   * The value that changes nothing. Absent: there is no such value, and the worker chooses a value for each
   * request.
   */
  readonly neutral?: number;
  /** A value that makes the warm-up run the rule. */
  readonly warmUp: number;
}

const FRACTION: Range = { min: 0, max: 1 };
const COUNT: Range = { min: 0, whole: true };
const FINITE: Range = { min: -Number.MAX_VALUE };

/**
 * The rows in the order of the fields in openapi.yaml. The order of application is the order of the rules in
 * `engine/sampling/`.
 */
export const SAMPLING = {
  /** 0 = greedy: the arg-max of the logits after penalties, lowest id on a tie. */
  temperature: {
    stage: 'temperature',
    field: 'temperature',
    description: '0 is greedy',
    range: { min: 0, max: 2 },
    engineRange: { min: 0 },
    modelKey: 'temperature',
    neutral: 1,
    warmUp: 1,
  },
  /** Keep the smallest set of ids whose probabilities reach p; 1 = off, 0 keeps one. */
  topP: {
    stage: 'filter',
    field: 'top_p',
    description: 'Keep the smallest set of tokens that reaches this probability',
    range: FRACTION,
    modelKey: 'top_p',
    neutral: 1,
    warmUp: 0.95,
  },
  /** Keep ids at least this fraction as likely as the likeliest; 0 = off. */
  minP: {
    stage: 'filter',
    field: 'min_p',
    description: 'Keep tokens at least this fraction as likely as the likeliest',
    range: FRACTION,
    modelKey: 'min_p',
    neutral: 0,
    warmUp: 0.02,
  },
  /** Keep the k likeliest ids; 0 = off. */
  topK: {
    stage: 'filter',
    field: 'top_k',
    description: 'Keep the k likeliest tokens; 0 is off',
    range: COUNT,
    modelKey: 'top_k',
    neutral: 0,
    warmUp: 40,
  },
  /** Divides positive and multiplies negative logits of every id in prompt or output; 1 = off. */
  repetitionPenalty: {
    stage: 'penalty',
    field: 'repetition_penalty',
    description: 'Makes tokens of prompt and output less likely; 1 is off',
    range: { min: 0, exclusiveMin: true, max: 2 },
    engineRange: { min: 0, exclusiveMin: true },
    modelKey: 'repetition_penalty',
    neutral: 1,
    warmUp: 1.1,
  },
  /** Subtracted once per occurrence of an id in the output; 0 = off. */
  frequencyPenalty: {
    stage: 'penalty',
    field: 'frequency_penalty',
    description: 'Subtracted per occurrence in the output; 0 is off',
    range: { min: -2, max: 2 },
    engineRange: FINITE,
    neutral: 0,
    warmUp: 0.1,
  },
  /** Subtracted once from every id that occurs in the output; 0 = off. */
  presencePenalty: {
    stage: 'penalty',
    field: 'presence_penalty',
    description: 'Subtracted once from every token in the output; 0 is off',
    range: { min: -2, max: 2 },
    engineRange: FINITE,
    neutral: 0,
    warmUp: 0.1,
  },
  /** The same seed gives the same tokens, whatever other sequences run. */
  seed: {
    stage: 'random',
    field: 'seed',
    description: 'The same seed draws the same tokens. When absent: drawn at random and reported in `started`',
    range: { min: 0, max: Number.MAX_SAFE_INTEGER, whole: true },
    warmUp: 0,
  },
} as const satisfies Readonly<Record<string, SamplingParameter>>;

type Table = typeof SAMPLING;

export type SamplingName = keyof Table;

/** How the next token is drawn: a value for every parameter. */
export type Sampling = { readonly [name in SamplingName]: number };

/** The parameters of one stage. */
export type ParameterOf<S extends Stage> = {
  [name in SamplingName]: Table[name]['stage'] extends S ? name : never;
}[SamplingName];

/** The parameters that have a neutral value. */
export type NeutralName = {
  [name in SamplingName]: Table[name] extends { readonly neutral: number } ? name : never;
}[SamplingName];

/** A value for every parameter that has a neutral value: used for the fields that a request omits. */
export type SamplingDefaults = Pick<Sampling, NeutralName>;

/** The names of a record in the order in which it lists them. */
export const namesOf = <K extends string>(record: Readonly<Record<K, unknown>>): readonly K[] =>
  Object.keys(record) as K[];

/** All parameters, in the order of the table. */
export const SAMPLING_NAMES = namesOf(SAMPLING);

const hasNeutral = (name: SamplingName): name is NeutralName => 'neutral' in SAMPLING[name];

/** The parameters that have a neutral value, in the order of the table. */
export const NEUTRAL_NAMES = SAMPLING_NAMES.filter(hasNeutral);

/** The neutral values: draws with the probabilities of the model. A sequence also needs a seed. */
export const NEUTRAL: SamplingDefaults = Object.fromEntries(
  NEUTRAL_NAMES.map((name) => [name, SAMPLING[name].neutral]),
) as SamplingDefaults;

/** Takes the likeliest id every time. */
export const GREEDY: Sampling = { ...NEUTRAL, temperature: 0, seed: 0 };

/** Runs every rule of the sampler. */
export const WARM_UP: Sampling = Object.fromEntries(
  SAMPLING_NAMES.map((name) => [name, SAMPLING[name].warmUp]),
) as Sampling;

/** The values that the engine accepts: every value that a request or a model may have. */
export const engineRangeOf = ({ range, engineRange }: SamplingParameter): Range => engineRange ?? range;

/** True if a number is in a range; false for NaN. */
export function isInRange(value: number, { min, exclusiveMin, max = Number.MAX_VALUE, whole }: Range): boolean {
  if (whole && !Number.isSafeInteger(value)) return false;
  return (exclusiveMin ? value > min : value >= min) && value <= max;
}

/** The end of the sentence "… must be": "a whole number from 0 up". */
export function describeRange({ min, exclusiveMin, max, whole }: Range): string {
  const number = whole ? 'a whole number' : 'a number';
  if (exclusiveMin) return `${number} above ${min}${max === undefined ? '' : ` and up to ${max}`}`;
  return `${number} from ${min} ${max === undefined ? 'up' : `to ${max}`}`;
}
