/** The sampling parameters as fields of a request, derived from the table in protocol/sampling.ts. Pure. */
import { z } from 'zod';
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
