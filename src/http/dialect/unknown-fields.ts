/**
 * Finds the fields of a body that its schema does not have, in every object of the body. The schema itself is
 * read: a field that a schema gains needs no entry elsewhere.
 */
import { z } from 'zod';
import { FORMS } from '../../contract/openai/chosen-form.ts';
import { shownText } from '../validate.ts';
import { type CheckedBody, checkBody } from './check.ts';

/** Most unknown fields inside of the values of a body that a narration names. */
export const MAX_UNKNOWN_FIELDS = 32;

/**
 * Checks a body as `checkBody` does, and also lists the unknown fields inside of its values, such as
 * `messages[].content[].cache_control`. Each name occurs once, without indices: an agent sends the same field
 * in each of a thousand messages.
 * @param fields names of the fields of the body that have an effect
 * @throws WorkerError `INVALID_REQUEST` with the violations
 */
export function checkAll<T>(schema: z.ZodType<T>, fields: ReadonlySet<string>, body: unknown): CheckedBody<T> {
  const { value, unknown } = checkBody(schema, fields, body);
  const found = new Set<string>();
  for (const { path, name } of unknownIn(schema, body, '')) {
    if (found.size === MAX_UNKNOWN_FIELDS) break;
    if (path !== '') found.add(`${path}.${shownText(name)}`);
  }
  return { value, unknown: [...unknown, ...found] };
}

interface UnknownField {
  /** Path of the object that has the field. Empty for the body. */
  readonly path: string;
  readonly name: string;
}

/**
 * The unknown fields of a valid value. A field that is null counts as absent. Of a union, at most one form
 * may be an object. Records and unknown values have the field names of the client, and none is unknown.
 */
function* unknownIn(schema: unknown, value: unknown, path: string): Generator<UnknownField> {
  if (typeof value !== 'object' || value === null) return;
  const form = schema instanceof z.ZodType ? FORMS.get(schema) : undefined;
  if (form) yield* unknownIn(form.choose(value), value, path);
  else if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    yield* unknownIn(schema.unwrap(), value, path);
  else if (schema instanceof z.ZodPipe)
    yield* unknownIn(schema.in instanceof z.ZodTransform ? schema.out : schema.in, value, path);
  else if (schema instanceof z.ZodUnion) for (const option of schema.options) yield* unknownIn(option, value, path);
  else if (schema instanceof z.ZodArray && Array.isArray(value))
    for (const element of value) yield* unknownIn(schema.element, element, `${path}[]`);
  else if (schema instanceof z.ZodObject && !Array.isArray(value)) yield* unknownOf(schema, value, path);
}

function* unknownOf({ shape }: z.ZodObject, value: object, path: string): Generator<UnknownField> {
  for (const [name, field] of Object.entries(value)) {
    if (Object.hasOwn(shape, name)) yield* unknownIn(shape[name], field, path === '' ? name : `${path}.${name}`);
    else if (field !== null && field !== undefined) yield { path, name };
  }
}
