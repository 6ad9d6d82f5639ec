/**
 * The fields with which a request demands a form of the output: a JSON Schema, a regular expression, or
 * choices. All dialects share their rules. The grammar engine reads the schema and the expression.
 */
import { z } from 'zod';

/** Limits that no setting changes. Lengths in characters (Unicode code points). */
export const FORMAT_LIMITS = { regexChars: 4096, choices: 1024, choiceChars: 1024 } as const;

const { regexChars, choices, choiceChars } = FORMAT_LIMITS;

/** The end of the sentence "the field must be …". */
export const SCHEMA_RULE = 'a JSON Schema: an object, true or false';
export const REGEX_RULE = `a regular expression of 1 to ${regexChars} characters`;
export const CHOICE_RULE = `a list of 1 to ${choices} different texts of 1 to ${choiceChars} characters each`;

/** The parameters of a rule: /execute reads `rule`, and the other dialects read `error`. */
const ruleOf = (constraint: string, rule: string) => ({ error: rule, params: { constraint, rule } });

/** True for a value that may be a JSON Schema. */
export const isSchema = (value: unknown): boolean =>
  typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value));

/** True for a text of 1 to `max` code points that has bytes in UTF-8. */
const isText = (value: unknown, max: number): boolean =>
  typeof value === 'string' &&
  value !== '' &&
  (value.length <= max || (value.length <= 2 * max && Array.from(value).length <= max)) &&
  value.isWellFormed();

/** One rule for the whole list: a list of a thousand wrong texts has one violation. */
function isChoice(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > choices) return false;
  return value.every((one) => isText(one, choiceChars)) && new Set(value).size === value.length;
}

/** A JSON Schema. The schema itself is not read here: a compilation names its errors. */
export const schemaField = () =>
  z
    .unknown()
    .refine(isSchema, ruleOf('type', SCHEMA_RULE))
    .meta({ type: ['object', 'boolean'] });

/** A JSON Schema, or its JSON text: vLLM takes both. */
export const schemaOrTextField = () =>
  z
    .unknown()
    .refine((value) => isSchema(value) || typeof value === 'string', ruleOf('type', `${SCHEMA_RULE}, or its JSON text`))
    .meta({ type: ['object', 'boolean', 'string'] });

/** A regular expression that matches a whole text. */
export const regexField = () =>
  z
    .unknown()
    .refine((value) => isText(value, regexChars), ruleOf('format', REGEX_RULE))
    .transform(String)
    .meta({ type: 'string', minLength: 1, maxLength: regexChars });

/** The texts of which an output is one. */
export const choiceField = () =>
  z
    .unknown()
    .refine(isChoice, ruleOf('format', CHOICE_RULE))
    .transform((value) => value as readonly string[])
    .meta({
      type: 'array',
      items: { type: 'string', minLength: 1, maxLength: choiceChars },
      minItems: 1,
      maxItems: choices,
      uniqueItems: true,
    });
