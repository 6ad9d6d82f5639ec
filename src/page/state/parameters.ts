/**
 * The parameters of a request as a person types them: texts, checked when they are sent. Names, ranges and
 * descriptions of the numbers are those of the worker's own table. Pure.
 */
import type { JobRequest } from '../../client/client.ts';
import { describeRange, isInRange, type Range, SAMPLING, SAMPLING_NAMES } from '../../protocol/sampling.ts';

/** Field name → typed text. A missing or empty text is an absent field. */
export type Parameters = Readonly<Record<string, string>>;

export interface NumberField {
  readonly name: string;
  readonly range: Range;
  readonly help: string;
}

const COUNT: Range = { min: 1, whole: true };

/** The numbers of a request, in the order of the form. */
export const NUMBER_FIELDS: readonly NumberField[] = [
  { name: 'max_tokens', range: COUNT, help: 'Maximum number of tokens of the answer' },
  ...SAMPLING_NAMES.map((name) => {
    const { field, range, description } = SAMPLING[name];
    return { name: field, range, help: description };
  }),
];

/** A field of the form that is not a number. */
export interface TextField {
  readonly name: string;
  readonly label: string;
  readonly help: string;
  readonly kind: 'lines' | 'json';
}

export const TEXT_FIELDS: readonly TextField[] = [
  { name: 'stop', label: 'stop', help: 'Up to 4 strings that end the answer, one per line', kind: 'lines' },
  { name: 'schema', label: 'schema', help: 'JSON Schema that the answer must match', kind: 'json' },
  { name: 'tools', label: 'tools', help: 'JSON list of tools, as in Chat Completions', kind: 'json' },
];

/** Fields with a list of words; the first word leaves the field out. */
export const CHOICE_FIELDS: Readonly<Record<string, readonly string[]>> = {
  tool_choice: ['default', 'auto', 'required', 'none'],
  enable_thinking: ['default', 'true', 'false'],
};

const isNumber = (name: string): boolean => NUMBER_FIELDS.some((field) => field.name === name);

/** True for a parameter of the form. */
export const isParameter = (name: string): boolean =>
  name === 'system' ||
  Object.hasOwn(CHOICE_FIELDS, name) ||
  isNumber(name) ||
  TEXT_FIELDS.some((field) => field.name === name);

/** A number as its form explains it: "0 to 2". */
export const rangeText = ({ range }: NumberField): string => {
  const isHuge = range.max === Number.MAX_SAFE_INTEGER;
  const { max, ...open } = range;
  return describeRange(isHuge || max === undefined ? open : range)
    .replace(/^a (?:whole )?number (?:from )?/, '')
    .replace(' and up to', ' to');
};

/** The problem of a typed text; undefined if it is right or empty. */
export function problemOf(name: string, text: string): string | undefined {
  if (text.trim() === '') return undefined;
  const number = NUMBER_FIELDS.find((field) => field.name === name);
  if (number) return isInRange(Number(text), number.range) ? undefined : `Must be ${describeRange(number.range)}.`;
  const field = TEXT_FIELDS.find((one) => one.name === name);
  if (field?.kind !== 'json') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return name === 'tools' && !Array.isArray(value) ? 'Must be a list: [{"type": "function", …}].' : undefined;
  } catch (error) {
    return `Must be JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The first problem of all texts, with its field. */
export function firstProblem(parameters: Parameters): { readonly name: string; readonly problem: string } | undefined {
  for (const [name, text] of Object.entries(parameters)) {
    const problem = problemOf(name, text);
    if (problem !== undefined) return { name, problem };
  }
  return undefined;
}

/** The fields of a request. Texts with a problem must have been refused before. */
export function requestFields(parameters: Parameters): Partial<JobRequest> {
  const fields: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(parameters)) {
    if (text.trim() === '' || name === 'system') continue;
    if (Object.hasOwn(CHOICE_FIELDS, name)) {
      if (text !== 'default') fields[name] = text === 'true' || text === 'false' ? text === 'true' : text;
    } else if (name === 'stop') fields[name] = text.split('\n').filter((line) => line !== '');
    // A person may write `.5`, which is no JSON.
    else fields[name] = isNumber(name) ? Number(text) : JSON.parse(text);
  }
  // A choice without tools would be refused.
  if (fields['tools'] === undefined) delete fields['tool_choice'];
  return fields;
}

/** The parameters that differ from the defaults, as short texts: "temperature 0.2". */
export function summary(parameters: Parameters): readonly string[] {
  return Object.entries(parameters)
    .filter(([, text]) => text.trim() !== '' && text !== 'default')
    .map(([name, text]) => (isNumber(name) ? `${name} ${text.trim()}` : name));
}
