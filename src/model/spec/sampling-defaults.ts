/**
 * Reads a model's defaults of sampling parameters, under the names of `generation_config.json` and of GenAI's
 * `search`. A default that is out of range is ignored and reported: a request can set the parameter, so a
 * wrong default does not make a model unusable. Pure.
 */
import {
  describeRange,
  engineRangeOf,
  isInRange,
  NEUTRAL,
  NEUTRAL_NAMES,
  SAMPLING,
  type SamplingDefaults,
  type SamplingParameter,
} from '../../protocol/sampling.ts';

/** A field of a model's file that is not used, because its value is wrong. */
export interface IgnoredField {
  /** Name of the file, without its folder. */
  readonly file: string;
  readonly field: string;
  /** The value, shortened. */
  readonly value: string;
  /** The allowed values, as the end of a sentence. */
  readonly allowed: string;
}

/** UTF-16 units of a value in a report. */
const MAX_VALUE = 40;
/** The value that vLLM and its users write for "all tokens"; transformers writes 0 or null. */
const NO_TOP_K = -1;

/**
 * Converts the fields to defaults.
 *
 * A parameter that the file lacks is neutral (contract, "POST /execute body"). `do_sample: false` means
 * greedy: temperature 0 and the penalties of the file. The filters of the file are ignored, because exports
 * write `top_k: 1` beside `do_sample: false`, and a request with a temperature must draw from more than one
 * token. A `top_k` of −1 is off. A `top_p` of 0 keeps one token, as in transformers; a `temperature` of 0 is
 * greedy.
 * @param file name of the file, for `ignored`
 * @param ignored receives each field with a wrong value
 */
export function samplingDefaults(
  fields: Readonly<Record<string, unknown>>,
  file: string,
  ignored: IgnoredField[],
): SamplingDefaults {
  const { do_sample } = fields;
  const greedy = do_sample === false;
  if (typeof do_sample !== 'boolean')
    ignore(ignored, { file, field: 'do_sample', allowed: 'true or false' }, do_sample);
  const defaults = NEUTRAL_NAMES.flatMap((name) => {
    const parameter: SamplingParameter = SAMPLING[name];
    const { stage, modelKey } = parameter;
    const value = modelKey === undefined ? undefined : fields[modelKey];
    if (modelKey === undefined || (name === 'topK' && value === NO_TOP_K)) return [];
    const range = engineRangeOf(parameter);
    if (typeof value !== 'number' || !isInRange(value, range)) {
      ignore(ignored, { file, field: modelKey, allowed: describeRange(range) }, value);
      return [];
    }
    return stage === 'penalty' || !greedy ? [[name, value] as const] : [];
  });
  return { ...NEUTRAL, ...(greedy && { temperature: 0 }), ...Object.fromEntries(defaults) };
}

/** Reports a value, unless it is absent or null. */
function ignore(ignored: IgnoredField[], place: Omit<IgnoredField, 'value'>, value: unknown): void {
  if (value !== undefined && value !== null) ignored.push({ ...place, value: shortened(value) });
}

function shortened(value: unknown): string {
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value.slice(0, MAX_VALUE)) : String(value);
  return text.slice(0, MAX_VALUE);
}
