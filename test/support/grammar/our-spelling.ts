/** The spelling of JSON that this engine writes (docs/structured-output.md), for texts of other engines. */
import type { Json } from '../../../src/grammar/output-format.ts';

const STRINGS = /("(?:[^"\\]|\\.)*")(:)?/gu;
/** At most 60 digits before the point and 25 after it; or one digit before the point, and an exponent. */
const NUMBER = /^-?(?:\d{1,60}(?:\.\d{1,25})?|[1-9](?:\.\d{1,20})?[eE][+-]?(?:\d{1,2}|[1-9]\d\d))$/;
const BOUNDED = /^-?\d+(?:\.\d+)?$/;
const MOST_DIGITS = 15;

/**
 * True if a valid text is spelled in this way. Its members are in the order of the schema, and a space follows
 * each comma and each colon.
 */
export function isOurSpelling(schema: Json, text: string): boolean {
  const rules = JSON.stringify(schema);
  const isRestricted = /"(?:pattern|enum|const|format)"/.test(rules);
  const isBounded = /"(?:minimum|maximum|exclusiveMinimum|exclusiveMaximum|multipleOf)"/.test(rules);
  for (const [, spelled = '', colon] of text.matchAll(STRINGS))
    if ((isRestricted || colon) && JSON.stringify(JSON.parse(spelled)) !== spelled) return false;
  const numbers = text.replace(STRINGS, '').match(/-?\d[\d.eE+-]*/g) ?? [];
  return hasNoNameTwice(text) && numbers.every((number) => (isBounded ? isBoundedNumber : isNumber)(number));
}

const isNumber = (text: string): boolean =>
  NUMBER.test(text) && Number.isFinite(Number(text)) && (Number(text) !== 0 || !/e/i.test(text));

const isBoundedNumber = (text: string): boolean =>
  BOUNDED.test(text) && (!text.includes('.') || text.replace(/^-?0*\.?0*/, '').replace('.', '').length <= MOST_DIGITS);

/** False if an object has a name twice: it then has fewer members than the text has colons. */
function hasNoNameTwice(text: string): boolean {
  const colons = text.replace(STRINGS, '$2').split(':').length - 1;
  let members = 0;
  const count = (_: string, value: unknown): unknown => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) members += Object.keys(value).length;
    return value;
  };
  JSON.parse(text, count);
  return members === colons;
}
