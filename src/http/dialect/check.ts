/**
 * Checks the body of a dialect's request against its schema. Unknown fields are allowed, and reported:
 * clients send fields of many servers. A violation never repeats a text of the user.
 */
import type { z } from 'zod';
import { withoutNulls } from '../../contract/absent.ts';
import { type Violation, WorkerError } from '../../contract/errors.ts';
import { shownText } from '../validate.ts';

/** A valid body, and the names of its fields that the schema does not have. */
export interface CheckedBody<T> {
  readonly value: T;
  readonly unknown: readonly string[];
}

/** Maximum violations that an error reports: a list of a thousand messages can break as many rules. */
export const MAX_VIOLATIONS = 20;

/**
 * Checks a body. A field that is null counts as absent.
 * @param fields names of all fields of the schema
 * @throws WorkerError `INVALID_REQUEST` with the violations
 */
export function checkBody<T>(schema: z.ZodType<T>, fields: ReadonlySet<string>, body: unknown): CheckedBody<T> {
  const given = withoutNulls(body);
  const parsed = schema.safeParse(given);
  if (!parsed.success) throw invalidError(violationsOf(parsed.error, given));
  return { value: parsed.data, unknown: Object.keys(given as object).filter((name) => !fields.has(name)) };
}

/**
 * Checks a value inside of a body. A field of it that is null counts as absent.
 * @param path path of the value in the body, such as `tools[0].function`
 * @throws WorkerError `INVALID_REQUEST` with the violations
 */
export function checkPart<T>(schema: z.ZodType<T>, path: string, value: unknown): T {
  const parsed = schema.safeParse(withoutNulls(value));
  if (parsed.success) return parsed.data;
  throw invalidError(violationsOf(parsed.error, value, path));
}

/** @param root path of `body`, if it is a part of the whole body */
const violationsOf = ({ issues }: z.ZodError, body: unknown, root?: string): Violation[] =>
  onePerField(
    firstOf(issues)
      .flatMap(innermost)
      .map((issue) => violationOf(issue, body, root)),
  );

/**
 * One violation for each field. zod goes on after a wrong type, and reports two maxima of a whole number: its
 * own one, and then the lower one of the field.
 */
function onePerField(violations: readonly Violation[]): Violation[] {
  const kept = new Map<string, Violation>();
  for (const violation of violations) {
    const { field, constraint } = violation;
    if ((kept.get(field)?.constraint ?? constraint) === constraint) kept.set(field, violation);
  }
  return [...kept.values()];
}

/** The error for violations of a body. */
export function invalidError(violations: readonly Violation[]): WorkerError {
  return new WorkerError('INVALID_REQUEST', undefined, { violations: violations.slice(0, MAX_VIOLATIONS) });
}

/** The error for one field. `message` is a sentence that begins with the name of the field. */
export const invalidField = (field: string, constraint: string, message: string): WorkerError =>
  invalidError([{ field, constraint, message }]);

/** The sentences of all violations of an error, or its message. */
export function sentencesOf({ violations, message }: WorkerError): string {
  return violations === undefined ? message : violations.map((violation) => violation.message).join('; ');
}

/**
 * The issues that an error reports. Zod measures the size of a text where it expects a list, and of a list
 * where it expects a text: an issue that follows one about the type of the same value is left out.
 */
const firstOf = (issues: readonly z.core.$ZodIssue[]): readonly z.core.$ZodIssue[] =>
  issues.filter((issue, at) => !isAboutType(issues[at - 1], issue)).slice(0, MAX_VIOLATIONS);

const isAboutType = (before: z.core.$ZodIssue | undefined, { path }: z.core.$ZodIssue): boolean =>
  before?.code === 'invalid_type' &&
  before.path.length === path.length &&
  before.path.every((part, at) => part === path[at]);

/**
 * The issues of a value that may have several types, such as a text or a list: those of its own type, if it
 * is one of them.
 */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const isOther = (one: z.core.$ZodIssue): boolean => one.code === 'invalid_type' && one.path.length === 0;
  const own = issue.errors.find((issues) => !issues.some(isOther));
  if (own === undefined) return [issue];
  // A list of the allowed words is only a part of the rule, if the value may be an object too.
  if (ownRule(issue) && own.every(isWord))
    return own.map((one) => ({ ...one, path: issue.path, message: issue.message }));
  return firstOf(own).flatMap((one) => innermost({ ...one, path: [...issue.path, ...one.path] }));
}

/** True if the value itself, and not a part of it, is none of the allowed words. */
const isWord = ({ code, path }: z.core.$ZodIssue): boolean => code === 'invalid_value' && path.length === 0;

/** @param root path of `body`, if it is a part of the whole body */
function violationOf(issue: z.core.$ZodIssue, body: unknown, root = ''): Violation {
  const { path } = issue;
  const field = pathText(path, root);
  const value = path.reduce<unknown>((at, part) => (at as Record<PropertyKey, unknown> | undefined)?.[part], body);
  const { constraint, rule } = ruleOf(issue, value);
  const shown = shownValue(issue, value);
  const but = shown === undefined ? '' : `, but is ${JSON.stringify(shown)}`;
  return { field, constraint, message: `${field} ${rule}${but}`, ...(shown !== undefined && { value: shown }) };
}

/** `messages[2].role`. A key that the caller has chosen, such as one of `metadata`, is cut. */
function pathText(path: readonly PropertyKey[], root: string): string {
  const partText = (part: PropertyKey): string =>
    typeof part === 'number' ? `[${part}]` : `.${shownText(String(part))}`;
  const text = root + path.map(partText).join('');
  return text === '' ? 'body' : text.replace(/^\./, '');
}

interface Rule {
  readonly constraint: string;
  /** The end of a sentence that begins with the name of the field. */
  readonly rule: string;
}

/** Units of a size, by the kind of the value. */
const UNITS: Readonly<Record<string, string>> = { string: 'character', array: 'item' };

/** `be at least 3` for a number, and `have at least 3 items` for a value with a size. */
function limitText(bound: string, limit: number | bigint, kind: string): string {
  const unit = UNITS[kind];
  return unit === undefined
    ? `be ${bound} ${limit}`
    : `have ${bound} ${limit} ${unit}${Number(limit) === 1 ? '' : 's'}`;
}

function ruleOf(issue: z.core.$ZodIssue, value: unknown): Rule {
  switch (issue.code) {
    case 'custom':
      return { constraint: String(issue.params?.['constraint'] ?? 'rule'), rule: `must be ${issue.message}` };
    case 'invalid_type':
      if (value === undefined || value === null) return { constraint: 'required', rule: 'is required' };
      return { constraint: 'type', rule: ownRule(issue) ?? `must be ${nounOf(issue.expected)}` };
    case 'too_big':
      return { constraint: 'maximum', rule: `must ${limitText('at most', issue.maximum, issue.origin)}` };
    case 'too_small':
      return {
        constraint: 'minimum',
        rule: `must ${limitText(issue.inclusive === false ? 'above' : 'at least', issue.minimum, issue.origin)}`,
      };
    case 'invalid_union':
      if (value === undefined || value === null) return { constraint: 'required', rule: 'is required' };
      return { constraint: 'type', rule: ownRule(issue) ?? `must be ${typesOf(issue).join(' or ')}` };
    case 'invalid_value':
      return { constraint: 'enum', rule: ownRule(issue) ?? `must be ${listed(issue.values.map(String))}` };
    default:
      return { constraint: 'form', rule: ownRule(issue) ?? 'must have a form that the API reference describes' };
  }
}

/** The end of the sentence, if the schema has it as the message of its error: a union, a pattern or words. */
const ownRule = ({ message }: z.core.$ZodIssue): string | undefined =>
  message.startsWith('Invalid') ? undefined : `must be ${message}`;

/** `a, b or c`. */
const listed = (words: readonly string[]): string =>
  [words.slice(0, -1).join(', '), ...words.slice(-1)].filter((part) => part !== '').join(' or ');

/** The types of a union whose value has none of them. */
const typesOf = ({ errors }: z.core.$ZodIssueInvalidUnion): string[] =>
  errors.flatMap(([first]) => (first?.code === 'invalid_type' ? [nounOf(first.expected)] : []));

function nounOf(expected: string): string {
  if (expected === 'int') return 'a whole number';
  if (expected === 'array') return 'an array';
  if (expected === 'object' || expected === 'record') return 'an object';
  return `a ${expected}`;
}

/** Numbers, booleans, and texts where the schema has a list of texts. */
function shownValue(issue: z.core.$ZodIssue, value: unknown): string | number | boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  return typeof value === 'string' && issue.code === 'invalid_value' ? shownText(value) : undefined;
}
