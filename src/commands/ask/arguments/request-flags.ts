/**
 * The flags for the fields of a request, derived from the schema of `POST /execute`: a new field of the
 * contract is a new flag. Reads the files that flags name.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type ExecuteRequest, executeFields, type Limits, limitsOf } from '../../../contract/execute.ts';
import { executeChecker } from '../../../http/validate.ts';
import { messageOf, shorten } from '../../../protocol/text/error-message.ts';

/** Fields that the command makes itself. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['messages']);

/**
 * The form of a value on the command line. `json` is a file, or JSON text; `word` is a text that may also be
 * JSON.
 */
type Kind = 'number' | 'boolean' | 'text' | 'list' | 'json' | 'word';

export interface RequestFlag {
  /** Without the dashes. */
  readonly name: string;
  readonly field: string;
  readonly kind: Kind;
  readonly description: string;
}

/** The part of a JSON schema that decides about the kind. */
interface FieldSchema {
  readonly type?: string | readonly string[];
  readonly items?: FieldSchema;
  readonly anyOf?: readonly unknown[];
  readonly description?: string;
}

/** A request without its conversation. */
export type RequestFields = Partial<Omit<ExecuteRequest, 'messages'>>;
type Given = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

/** All flags, in the order of openapi.yaml. */
export function requestFlags(): readonly RequestFlag[] {
  const schema = z.toJSONSchema(z.object(executeFields()), { io: 'input', unrepresentable: 'any' });
  const fields = Object.entries((schema.properties ?? {}) as Record<string, FieldSchema>);
  return fields
    .filter(([field]) => !OWN_FIELDS.has(field))
    .map(([field, one]) => ({
      name: field.replaceAll('_', '-'),
      field,
      kind: kindOf(one),
      description: one.description ?? '',
    }));
}

function kindOf({ type, items, anyOf }: FieldSchema): Kind {
  if (type === 'integer' || type === 'number') return 'number';
  if (type === 'boolean') return 'boolean';
  if (type === 'string') return 'text';
  if (type === 'array' && items?.type === 'string') return 'list';
  return anyOf ? 'word' : 'json';
}

/** The option of `parseArgs` for a flag. */
export const optionOf = ({ kind }: RequestFlag) =>
  ({ type: kind === 'boolean' ? 'boolean' : 'string', multiple: kind === 'list' }) as const;

/**
 * The fields that the flags give.
 * @throws Error for a file that cannot be read, and for text that is not JSON
 */
export function fieldsOf(flags: readonly RequestFlag[], given: Given): RequestFields {
  const present = flags.filter(({ name }) => given[name] !== undefined);
  return Object.fromEntries(present.map((flag) => [flag.field, parsed(flag, given[flag.name])]));
}

function parsed({ name, kind }: RequestFlag, value: Given[string]): unknown {
  if (typeof value !== 'string') return value;
  // The check of the request refuses any other text, and repeats it.
  if (kind === 'number') return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(value) ? Number(value) : value;
  if (kind === 'word') return value.startsWith('{') ? jsonOf(name, value) : value;
  return kind === 'json' ? jsonOf(name, value) : value;
}

/** The value of a text that is JSON, or of the file that it names. */
function jsonOf(name: string, value: string): unknown {
  const isJson = /^\s*[[{]/.test(value) || value === 'true' || value === 'false';
  const shown = shorten(JSON.stringify(value), 200);
  let text = value;
  try {
    if (!isJson) text = readFileSync(value, 'utf8');
  } catch (error) {
    throw new Error(`--${name}: ${shown} cannot be read: ${messageOf(error)}; allowed: a JSON file, or JSON`);
  }
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new Error(`--${name}: ${shown} is not JSON: ${messageOf(error)}; allowed: a JSON file, or JSON`);
  }
}

/** The widest limits of a worker: the worker knows the limits of its model. */
const WIDEST: Limits = {
  ...limitsOf({ maxPromptChars: 'auto', maxTokensCap: 1_048_576 }, 1),
  promptChars: Number.MAX_SAFE_INTEGER,
};

/** The rules that a request breaks, as sentences that name the flags. */
export function problemsOf(fields: RequestFields, flags: readonly RequestFlag[]): readonly string[] {
  const checked = executeChecker(WIDEST)({ prompt: '-', job_id: '-', ...fields });
  if (checked.ok) return [];
  return checked.violations.map(({ message }) => withFlags(message, flags));
}

/** Replaces the names of fields at the start of a sentence by those of their flags. */
function withFlags(message: string, flags: readonly RequestFlag[]): string {
  const flagOf = (text: string): string => {
    const flag = flags.find(({ field }) => field === text);
    return flag ? `--${flag.name}` : text;
  };
  return message.replace(/^(\w+)(?:( and )(\w+))?/, (_, first: string, and = '', second = '') =>
    [flagOf(first), and, flagOf(second)].join(''),
  );
}
