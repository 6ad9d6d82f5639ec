/**
 * The fields of a request that change which tokens are drawn: the sampling parameters, derived from the table
 * in protocol/sampling.ts, and `logit_bias` and `ignore_eos`. Pure.
 */
import { z } from 'zod';
import { LOGIT_BIAS_RANGE, type LogitBias, MAX_LOGIT_BIASES } from '../protocol/logit-bias.ts';
import {
  type Range,
  SAMPLING,
  SAMPLING_NAMES,
  type Sampling,
  type SamplingName,
  type SamplingParameter,
} from '../protocol/sampling.ts';
import { lazy } from '../protocol/start/lazy.ts';

type Table = typeof SAMPLING;

type SamplingFields = { [name in SamplingName as Table[name]['field']]: z.ZodOptional<z.ZodNumber> };

/** The schema of a number in a range. */
export function numberIn({ min, exclusiveMin, max, whole }: Range): z.ZodNumber {
  const number = whole ? z.int() : z.number();
  const bounded = exclusiveMin ? number.gt(min) : number.min(min);
  return max === undefined ? bounded : bounded.max(max);
}

function fieldOf({ range, description, modelKey, neutral }: SamplingParameter): z.ZodOptional<z.ZodNumber> {
  const otherwise = modelKey ? `. When absent: the model's default, else ${neutral}` : '';
  return numberIn(range)
    .optional()
    .meta({ description: description + otherwise });
}

/** One optional field for each sampling parameter; the rules are the same on every worker. */
export const samplingFields = lazy(
  () =>
    Object.fromEntries(SAMPLING_NAMES.map((name) => [SAMPLING[name].field, fieldOf(SAMPLING[name])])) as SamplingFields,
);

/** The sampling parameters that a body gives, under the names of the engine. */
export function samplingIn(body: { readonly [field in keyof SamplingFields]?: number | undefined }): Partial<Sampling> {
  const given = SAMPLING_NAMES.flatMap((name) => {
    const value = body[SAMPLING[name].field];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(given);
}

const { min: LEAST, max: MOST } = LOGIT_BIAS_RANGE;
/** Longest id: a vocabulary has fewer than 10⁹ tokens. */
const ID = /^(0|[1-9][0-9]{0,8})$/;

/** The end of the sentence "logit_bias must be …". */
export const LOGIT_BIAS_RULE = `an object of at most ${MAX_LOGIT_BIASES} token ids, each with a number from ${LEAST} to ${MOST}`;

const isBias = ([id, bias]: readonly [string, unknown]): boolean =>
  ID.test(id) && typeof bias === 'number' && bias >= LEAST && bias <= MOST;

/**
 * One rule for the whole object, so that a body with a thousand wrong entries has one violation, which
 * repeats no name of the caller.
 */
export const logitBiasFields = () => ({
  logit_bias: z
    .record(z.string(), z.unknown())
    .refine((given) => Object.keys(given).length <= MAX_LOGIT_BIASES, {
      error: LOGIT_BIAS_RULE,
      params: { constraint: 'maximum' },
      abort: true,
    })
    .refine((given) => Object.entries(given).every(isBias), {
      error: LOGIT_BIAS_RULE,
      params: { constraint: 'format' },
    })
    .optional()
    .meta({
      description:
        `Token id → number from ${LEAST} to ${MOST} that is added to the logit of the token before all other rules; at most ` +
        `${MAX_LOGIT_BIASES} ids of the model. ${LEAST} practically bans a token, ${MOST} practically forces it`,
      patternProperties: { [ID.source]: { type: 'number', minimum: LEAST, maximum: MOST } },
      additionalProperties: false,
      maxProperties: MAX_LOGIT_BIASES,
    }),
  ignore_eos: z
    .boolean()
    .optional()
    .meta({
      description:
        'true: the end-of-sequence tokens do not end the output, which then has `max_tokens` tokens unless a stop string ends ' +
        'it. Such a token counts like every token; it is a special token, so the text does not show it. Default: false',
    }),
});

/** The biases of a valid body; undefined without the field. */
export function logitBiasIn(body: {
  readonly logit_bias?: Readonly<Record<string, unknown>> | undefined;
}): readonly LogitBias[] | undefined {
  return body.logit_bias && Object.entries(body.logit_bias).map(([id, bias]) => [Number(id), Number(bias)]);
}
