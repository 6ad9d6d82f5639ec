/**
 * Checks a body against its schema, and returns a valid value or all violations as sentences. A violation
 * never contains prompt text.
 */
import type { z } from 'zod';
import { objectWithNulls, withoutNulls } from '../contract/absent.ts';
import { MAX_SALT_UNITS } from '../contract/cache/salt.ts';
import type { Violation } from '../contract/errors.ts';
import { CancelBody, type ExecuteRequest, executeFields, FIXED_LIMITS, type Limits } from '../contract/execute.ts';
import { CHOICE_RULE, FORMAT_LIMITS, REGEX_RULE, SCHEMA_RULE } from '../contract/format/fields.ts';
import { RESUME_FIELDS, RESUME_RULE } from '../contract/resume/fields.ts';
import { LOGIT_BIAS_RULE } from '../contract/sampling-fields.ts';
import { CALLS_RULE, TOOL_CHOICE_RULE, TOOL_LIMITS } from '../contract/tools/fields.ts';
import { ROLE_RULE } from '../contract/tools/messages.ts';
import { cut, harmless } from '../narration/sanitize.ts';
import { describeRange, SAMPLING, SAMPLING_NAMES } from '../protocol/sampling.ts';

/** The allowed values of each field, as the end of the sentence "… must be". */
const ALLOWED: Readonly<Record<string, (limits: Limits) => string>> = {
  job_id: () => `1 to ${FIXED_LIMITS.jobIdChars} characters without control, invisible or private-use characters`,
  prompt: (limits) => `1 to ${limits.promptChars} Unicode characters`,
  messages: (limits) =>
    `1 to ${FIXED_LIMITS.messages} of {role: ${ROLE_RULE}, content: string}, ${limits.promptChars} characters together`,
  raw: () => 'true or false',
  template: () => `the name of a chat template, 1 to ${FIXED_LIMITS.templateChars} characters`,
  max_tokens: (limits) => `a whole number from 1 to ${limits.maxTokens}`,
  min_tokens: (limits) => `a whole number from 0 to max_tokens, at most ${limits.maxTokens}`,
  ...Object.fromEntries(
    SAMPLING_NAMES.map((name) => [SAMPLING[name].field, () => describeRange(SAMPLING[name].range)]),
  ),
  logit_bias: () => LOGIT_BIAS_RULE,
  ignore_eos: () => 'true or false',
  stop: () => `up to ${FIXED_LIMITS.stops} strings of 1 to ${FIXED_LIMITS.stopChars} characters each`,
  logprobs: () => `a whole number from 0 to ${FIXED_LIMITS.logprobs}`,
  schema: () => SCHEMA_RULE,
  regex: () => REGEX_RULE,
  choice: () => CHOICE_RULE,
  tools: () => `up to ${TOOL_LIMITS.tools} of {type: function, function: {name, description?, parameters?, strict?}}`,
  tool_choice: () => TOOL_CHOICE_RULE,
  parallel_tool_calls: () => 'true or false',
  enable_thinking: () => 'true or false',
  reasoning_effort: () => `a text of 1 to ${TOOL_LIMITS.effortChars} characters`,
  parts: () => 'true or false',
  ids: () => 'true or false',
  resume: () => RESUME_RULE,
  on_disconnect: () => 'cancel or continue',
  cache_salt: () => `a text of 1 to ${MAX_SALT_UNITS} characters`,
  timeout_ms: () => 'a whole number of milliseconds from 1 to 86400000',
};

/** The flag that sets a limit, by field and constraint. */
const FLAGS: Readonly<Record<string, string>> = {
  'prompt max_length': '--max-prompt-chars',
  'messages max_length': '--max-prompt-chars',
  'max_tokens maximum': '--max-tokens-cap',
  'min_tokens maximum': '--max-tokens-cap',
};

/** Fields that contain text of a user: a violation never repeats their values. */
const PRIVATE_FIELDS = new Set(['prompt', 'messages', 'stop', 'schema', 'regex', 'choice', 'tools', 'cache_salt']);

/** Longest value of a field that a violation repeats, in UTF-16 units. */
export const MAX_SHOWN = 64;

/** Maximum number of elements of a list in any field. A longer list is refused unread. */
export const MAX_LIST = 1024;
/**
 * Lists with a smaller maximum of their own, which is also the bound for the violations of their elements.
 */
const MAX_LENGTHS: Readonly<Record<string, number>> = {
  messages: FIXED_LIMITS.messages,
  stop: FIXED_LIMITS.stops,
  choice: FORMAT_LIMITS.choices,
  tools: TOOL_LIMITS.tools,
};

/** Maximum broken rules that an answer lists: role and content of every message, and all other fields. */
export const MAX_ISSUES = 2 * FIXED_LIMITS.messages + 64;

/** Fields of the chat template: a raw prompt has none. */
const TEMPLATE_FIELDS = [
  'template',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'enable_thinking',
  'reasoning_effort',
] as const;

/** Fields that demand a form of the output. */
const FORMS = ['schema', 'regex', 'choice'] as const;

/** A valid value with the names of its unknown fields, or all violations. */
export type Checked<T> =
  | { readonly ok: true; readonly value: T; readonly unknown: readonly string[] }
  | { readonly ok: false; readonly violations: readonly Violation[] };

/**
 * Returns a checker of `POST /execute` bodies with the operator's limits. Compiles the schema at its first
 * call.
 */
export function executeChecker(limits: Limits): (body: unknown) => Checked<ExecuteRequest> {
  const fields = executeFields(limits);
  const schema = objectWithNulls(fields);
  return (given) => {
    const body = withoutNulls(given);
    const tooLong = overlong(body).filter((name) => Object.hasOwn(fields, name));
    const parsed = schema.safeParse(tooLong.length > 0 ? { ...(body as object), ...undefinedFields(tooLong) } : body);
    const broken = (parsed.error?.issues ?? []).slice(0, MAX_ISSUES).map((issue) => violationOf(issue, body, limits));
    const lists = tooLong.map((name) => ({
      field: name,
      constraint: 'maximum',
      message: `${name} must be ${ALLOWED[name]?.(limits)}`,
    }));
    const violations = [...lists, ...once(broken), ...contradictions(body)];
    if (!parsed.success || violations.length > 0) return { ok: false, violations };
    return {
      ok: true,
      value: parsed.data,
      unknown: unknownFields(body as Readonly<Record<string, unknown>>, fields),
    };
  };
}

/** Names of the unknown fields of a valid body, and of those of `resume`. */
function unknownFields(body: Readonly<Record<string, unknown>>, fields: object): string[] {
  const inside = Object.keys(withoutNulls(body['resume'] ?? {}) as object).filter((key) => !RESUME_FIELDS.has(key));
  return [
    ...Object.keys(body).filter((key) => !Object.hasOwn(fields, key)),
    ...inside.map((key) => `resume.${shownText(key)}`),
  ];
}

/** Checks a `POST /cancel` body. */
export function checkCancel(body: unknown): Checked<z.output<typeof CancelBody>> {
  const parsed = CancelBody.safeParse(body);
  if (parsed.success) return { ok: true, value: parsed.data, unknown: [] };
  const limits = { promptChars: 0, maxTokens: 0 }; // No field of this body depends on them.
  return { ok: false, violations: parsed.error.issues.map((issue) => violationOf(issue, body, limits)) };
}

/** Removes repeated sentences: one value can break two rules that have the same sentence. */
function once(violations: readonly Violation[]): Violation[] {
  const seen = new Set<string>();
  return violations.filter(({ message }) => !seen.has(message) && seen.add(message));
}

/**
 * Fields whose list is longer than its rule allows. Their elements are not read, which bounds the cost of a
 * bad body and the size of its answer.
 */
function overlong(body: unknown): string[] {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return [];
  return Object.entries(body).flatMap(([name, value]) =>
    Array.isArray(value) && value.length > (MAX_LENGTHS[name] ?? MAX_LIST) ? [name] : [],
  );
}

/** Overrides fields of a body, so that the schema does not read them. */
const undefinedFields = (names: readonly string[]): object =>
  Object.fromEntries(names.map((name) => [name, undefined]));

/**
 * Rules between fields. Checked even if single fields are invalid, so that one answer contains all
 * violations.
 */
function contradictions(body: unknown): Violation[] {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return [];
  const given = body as Record<string, unknown>;
  const { prompt, messages, raw, min_tokens: least, max_tokens: most } = given;
  const found: Violation[] = [];
  const add = (field: string, constraint: string, message: string): void => {
    found.push({ field, constraint, message });
  };
  if (prompt === undefined && messages === undefined)
    add('prompt', 'required', 'either prompt or messages is required');
  if (prompt !== undefined && messages !== undefined)
    add('messages', 'exclusive', 'prompt and messages must not be used together');
  if (raw === true && messages !== undefined)
    add('raw', 'exclusive', 'raw applies to prompt only; the chat template is always applied to messages');
  for (const name of TEMPLATE_FIELDS)
    if (raw === true && !isAbsent(given[name]))
      add(name, 'exclusive', `${name} and raw: true must not be used together; a raw prompt has no chat template`);
  const [form, ...others] = FORMS.filter((name) => given[name] !== undefined);
  for (const other of others) add(other, 'exclusive', `${form} and ${other} must not be used together`);
  // A number beyond the range of doubles breaks the rule of its own field.
  if (Number.isFinite(least) && Number.isFinite(most) && Number(least) > Number(most)) {
    add('min_tokens', 'maximum', `min_tokens must be at most max_tokens, ${most}, but is ${least}`);
  }
  return found;
}

/** An empty list of tools counts as absent. */
const isAbsent = (value: unknown): boolean => value === undefined || (Array.isArray(value) && value.length === 0);

const CONSTRAINTS: Readonly<Record<string, string>> = {
  invalid_type: 'type',
  too_big: 'maximum',
  too_small: 'minimum',
  invalid_format: 'format',
  invalid_value: 'enum',
};

function violationOf(issue: z.core.$ZodIssue, body: unknown, limits: Limits): Violation {
  const field =
    issue.path
      .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
      .join('')
      .slice(1) || 'body';
  const name = String(issue.path[0] ?? '');
  const value = issue.path.reduce<unknown>(
    (at, part) => (at as Record<PropertyKey, unknown> | null | undefined)?.[part],
    body,
  );
  const constraint = constraintOf(issue, name === '' ? undefined : { value });
  const isShown = name !== '' && !PRIVATE_FIELDS.has(name);
  const shown = isShown ? showable(value) : undefined;
  const own = allowedBy(issue) ?? (issue.path[2] === 'tool_calls' ? CALLS_RULE : undefined);
  const allowed = own ?? ALLOWED[name]?.(limits) ?? 'a JSON object';
  const flag = FLAGS[`${field} ${constraint}`];
  const remedy = flag === undefined ? '' : `; ${flag} sets the maximum`;
  return {
    field,
    constraint,
    message: `${field} must be ${allowed}${isShown ? butIs(value) : ''}${remedy}`,
    ...(shown !== undefined && { value: shown }),
  };
}

/** The rule of an issue that is not the one of the whole field. */
function allowedBy(issue: z.core.$ZodIssue): string | undefined {
  const rule = issue.code === 'custom' ? issue.params?.['rule'] : undefined;
  return typeof rule === 'string' ? rule : undefined;
}

/** @param field the rejected value of a field; undefined for the whole body */
function constraintOf(issue: z.core.$ZodIssue, field: { readonly value: unknown } | undefined): string {
  // A word that is not allowed, or a value of another type.
  if (issue.code === 'invalid_union') return typeof field?.value === 'string' ? 'enum' : 'type';
  if (issue.code === 'custom') return String(issue.params?.['constraint'] ?? 'rule');
  if (field && (field.value === undefined || field.value === null)) return 'required';
  // JSON can write numbers beyond the range of doubles, such as 1e999. The schema takes these for no numbers.
  const wantsNumber = issue.code === 'invalid_type' && (issue.expected === 'number' || issue.expected === 'int');
  if (wantsNumber && field?.value === Number.POSITIVE_INFINITY) return 'maximum';
  if (wantsNumber && field?.value === Number.NEGATIVE_INFINITY) return 'minimum';
  return CONSTRAINTS[issue.code] ?? issue.code;
}

/** The end of a sentence that repeats a rejected value; empty if the value is no scalar. */
function butIs(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return ', but is beyond the range of numbers';
  const shown = showable(value);
  if (shown === undefined) return '';
  // The digits of the request are lost: it may have had another whole number of the same double.
  const isRounded = typeof shown === 'number' && Number.isInteger(shown) && !Number.isSafeInteger(shown);
  return `, but is ${isRounded ? 'about ' : ''}${JSON.stringify(shown)}`;
}

/**
 * The value if it is a scalar; undefined otherwise. JSON has no infinite numbers, so these are shown as text.
 */
function showable(value: unknown): string | number | boolean | undefined {
  if (typeof value === 'string') return shownText(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  return typeof value === 'boolean' ? value : undefined;
}

/**
 * A text of the caller as a violation repeats it: cut, to bound the size of the error, and harmless, because
 * a client prints the error.
 */
export function shownText(text: string): string {
  return cut(harmless(text.slice(0, 2 * MAX_SHOWN)), MAX_SHOWN);
}
