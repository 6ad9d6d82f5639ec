/**
 * Reads one JSON file of a model by a schema. What is wrong with it is added to a list of problems, by file and field.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { type ModelProblem, unreadable } from './problems.ts';

/** An id, a list of ids, or nothing; configurations write −1 for "none" too. */
export const ids = z.union([z.int(), z.array(z.int())]).nullish();

/** A number of something, which may be left out where another file says it. */
export const count = (needed: boolean): z.ZodType<number | null | undefined> =>
  needed ? z.int().min(1) : z.int().min(1).nullish();

/** How a model wants to be sampled, as `generation_config.json` and GenAI's `search` name it. */
export const sampling = {
  do_sample: z.boolean().nullish(),
  temperature: z.number().min(0).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().positive().nullish(),
} as const;

/** Told of one file: a list of ten thousand wrong entries is one mistake. */
const MOST_ISSUES = 20;

/**
 * @param prepare makes the fields of the schema from those of the file, which are an object.
 * @returns undefined: there is no such file to read, or it has problems.
 */
export async function readFields<S extends z.ZodType>(
  path: string | undefined,
  schema: S,
  problems: ModelProblem[],
  prepare: (fields: Readonly<Record<string, unknown>>) => unknown = (fields) => fields,
): Promise<z.infer<S> | undefined> {
  if (path === undefined) return undefined;
  const file = basename(path);
  const parsed = await readJson(path);
  if (parsed.problem !== undefined) {
    problems.push({ file, problem: parsed.problem });
    return undefined;
  }
  const given = isFields(parsed.value) ? prepare(parsed.value) : parsed.value;
  const result = schema.safeParse(given, { reportInput: true });
  if (result.success) return result.data;
  for (const issue of result.error.issues.slice(0, MOST_ISSUES)) problems.push({ file, problem: problemOf(issue) });
  return undefined;
}

/** Whether a value is a JSON object. */
export function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function problemOf(issue: z.core.$ZodIssue): string {
  const field = issue.path.join('.');
  if (field === '') return 'is not a JSON object';
  if (issue.input === undefined) return `lacks "${field}"`;
  return `has a wrong "${field}" (${issue.message.replace(/^Invalid (input|option): /, '')})`;
}

async function readJson(path: string): Promise<{ value?: unknown; problem?: string }> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return { problem: unreadable(error) };
  }
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown reason';
    return { problem: `is not valid JSON (${reason.replaceAll(/\s+/g, ' ').slice(0, 120)})` };
  }
}
