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
  const inside = new UnknownFields();
  inside.find(formOf(schema), body, '');
  return { value, unknown: [...unknown, ...inside.names] };
}

class UnknownFields {
  readonly names = new Set<string>();

  /** Finds the unknown fields of a valid value. @param path path of the value; empty for the body */
  find(form: Form, value: unknown, path: string): void {
    if (typeof value !== 'object' || value === null || this.names.size >= MAX_UNKNOWN_FIELDS) return;
    const { choose, element, fields } = form;
    if (choose) this.find(formOf(choose(value)), value, path);
    else if (Array.isArray(value)) {
      if (element) for (const each of value) this.find(element, each, `${path}[]`);
    } else if (fields) this.#ofObject(fields, value, path);
  }

  /** A field that is null counts as absent. `checkBody` lists the fields of the body itself. */
  #ofObject(fields: NonNullable<Form['fields']>, value: object, path: string): void {
    for (const [name, field] of Object.entries(value)) {
      const known = fields.get(name);
      if (known === EMPTY) continue;
      if (known) this.find(known, field, path === '' ? name : `${path}.${name}`);
      else if (path !== '' && field !== null && this.names.size < MAX_UNKNOWN_FIELDS)
        this.names.add(`${path}.${shownText(name)}`);
    }
  }
}

/**
 * The objects that a value of a schema can have. A record and an unknown value have field names of the
 * client: their form is empty.
 */
interface Form {
  /** Schema of a value, for a schema that hides it. */
  readonly choose?: (value: unknown) => unknown;
  /** Form of the elements, if the value may be an array. */
  readonly element?: Form;
  /** Forms of all known fields, if the value may be an object. */
  readonly fields?: ReadonlyMap<string, Form>;
}

/** A value without objects of known fields. */
const EMPTY: Form = {};
/** The forms of schemas: to read a schema takes more time than to read a value. */
const READ = new WeakMap<object, Form>();

function formOf(schema: unknown): Form {
  if (typeof schema !== 'object' || schema === null) return EMPTY;
  let form = READ.get(schema);
  if (!form) {
    form = readForm(schema);
    READ.set(schema, form);
  }
  return form;
}

function readForm(schema: object): Form {
  if (!(schema instanceof z.ZodType)) return EMPTY;
  const hidden = FORMS.get(schema);
  if (hidden) return hidden;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return formOf(schema.unwrap());
  if (schema instanceof z.ZodPipe) return formOf(schema.in instanceof z.ZodTransform ? schema.out : schema.in);
  // At most one form of a union is an object, and at most one is an array.
  if (schema instanceof z.ZodUnion) return Object.assign({}, ...schema.options.map(formOf)) as Form;
  if (schema instanceof z.ZodArray) return { element: formOf(schema.element) };
  if (!(schema instanceof z.ZodObject)) return EMPTY;
  return { fields: new Map(Object.entries(schema.shape).map(([name, field]) => [name, formOf(field)])) };
}
