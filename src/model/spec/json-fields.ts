/**
 * Reads one JSON file of a model and validates it with a schema. Adds each problem of the file to a list, by
 * file and field.
 */
import { basename } from 'node:path';
import { z } from 'zod';
import { JsonError, parseJson } from '../../protocol/text/json-text.ts';
import { readModelText } from '../folder-files.ts';
import { type ModelProblem, unreadable } from '../problems.ts';

/** An id, a list of ids, or nothing; configurations write −1 for "none" too. */
export const ids = z.union([z.int(), z.array(z.int())]).nullish();

/** Schema of a positive whole number. `needed`: false if another file can give the number. */
export const count = (needed: boolean): z.ZodType<number | null | undefined> =>
  needed ? z.int().min(1) : z.int().min(1).nullish();

/**
 * Maximum number of problems reported for one file: ten thousand invalid entries in a list are one mistake.
 */
const MAX_ISSUES = 20;

/** A JSON file of a model: its path, or its fields if they come from the metadata of another file. */
export type JsonSource = string | DerivedSource;
export interface DerivedSource {
  /** Name of the other file. */
  readonly file: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** The name of a field in the other file. */
  readonly fieldName: (field: string) => string;
}

/** Name of the file in messages. */
export const sourceName = (source: JsonSource | undefined): string =>
  typeof source === 'object' ? source.file : basename(source ?? '');

export interface ReadOptions {
  /** Makes the input of the schema from the fields of the file. */
  readonly prepare?: (fields: Readonly<Record<string, unknown>>) => unknown;
  /** Maximum size of the file; absent: that of a JSON file of a model. */
  readonly mostBytes?: number;
}

/**
 * Reads and validates a file. Problems are added to `problems`.
 * @param schema a function makes the schema if there is a file: few models have each file
 * @returns undefined if `source` is undefined or the file has problems.
 */
export async function readFields<S extends z.ZodType>(
  source: JsonSource | undefined,
  schema: S | (() => S),
  problems: ModelProblem[],
  { prepare = (fields) => fields, mostBytes }: ReadOptions = {},
): Promise<z.infer<S> | undefined> {
  if (source === undefined) return undefined;
  const file = sourceName(source);
  const parsed: ParsedJson = typeof source === 'object' ? { value: source.fields } : await readJson(source, mostBytes);
  if (parsed.problem !== undefined) {
    problems.push({ file, problem: parsed.problem });
    return undefined;
  }
  const given = isFields(parsed.value) ? prepare(parsed.value) : parsed.value;
  const result = (typeof schema === 'function' ? schema() : schema).safeParse(given, { reportInput: true });
  if (result.success) return result.data;
  const fieldName = typeof source === 'object' ? source.fieldName : same;
  for (const issue of result.error.issues.slice(0, MAX_ISSUES))
    problems.push({ file, problem: problemOf(issue, fieldName) });
  return undefined;
}

/** True if a value is a JSON object. */
export function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const same = (field: string): string => field;

function problemOf(issue: z.core.$ZodIssue, fieldName: (field: string) => string): string {
  const path = issue.path.join('.');
  if (path === '') return 'is not a JSON object';
  const field = fieldName(path);
  if (issue.input === undefined) return `lacks "${field}"`;
  return `has a wrong "${field}" (${issue.message.replace(/^Invalid (input|option): /, '')})`;
}

interface ParsedJson {
  readonly value?: unknown;
  readonly problem?: string;
}

async function readJson(path: string, mostBytes?: number): Promise<ParsedJson> {
  try {
    return { value: parseJson(await readModelText(path, mostBytes)) };
  } catch (error) {
    return { problem: error instanceof JsonError ? `is ${error.message}` : unreadable(error) };
  }
}
