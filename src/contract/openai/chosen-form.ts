/**
 * Schemas for values of several forms. A union of zod reports that no form fits; these schemas choose the
 * form first, so that an error names the field within it.
 */
import { z } from 'zod';
import { withoutNulls } from '../absent.ts';

/** For a schema that hides the form of its value: the function that chooses the schema of a value. */
export const FORMS = z.registry<{ readonly choose: (value: unknown) => unknown }>();

/**
 * The schema of a value whose form `choose` decides.
 * @param names names of the schemas of all forms in openapi.yaml, or schemas of JSON Schema
 */
export function chosenForm<T>(
  choose: (value: unknown) => z.ZodType<T>,
  forms: readonly (string | object)[],
  description: string,
): z.ZodType<T, unknown> {
  const anyOf = forms.map((form) => (typeof form === 'string' ? { $ref: `#/components/schemas/${form}` } : form));
  return z
    .unknown()
    .transform((value, context) => {
      const parsed = choose(value).safeParse(value);
      if (parsed.success) return parsed.data;
      report(parsed.error, value, context);
      return z.NEVER;
    })
    .meta({ description, anyOf })
    .register(FORMS, { choose }) as unknown as z.ZodType<T, unknown>;
}

/** Broken elements of a list that are described by default; the rest of the list is then not read. */
export const MAX_BROKEN = 20;

/**
 * The schema of a list. A list of zod describes each of thousands of broken elements, for a quarter of a
 * second.
 * @param most maximum number of elements
 * @param maxBroken broken elements that are described
 */
export function listOf<T>(
  element: z.ZodType<T>,
  most: number,
  maxBroken: number = MAX_BROKEN,
): z.ZodType<T[], unknown> {
  const list = z.unknown().transform((value, context) => {
    const given = arrayWithin(most).safeParse(value);
    if (!given.success) {
      report(given.error, value, context);
      return z.NEVER;
    }
    const read: T[] = [];
    let broken = 0;
    for (const [index, one] of given.data.entries()) {
      const parsed = element.safeParse(one);
      if (parsed.success) read.push(parsed.data);
      else {
        report(parsed.error, one, context, index);
        broken += 1;
        if (broken === maxBroken) break;
      }
    }
    return broken > 0 ? z.NEVER : read;
  });
  const elements = z.array(element);
  return list.register(FORMS, { choose: () => elements }) as unknown as z.ZodType<T[], unknown>;
}

const arrayWithin = (most: number) => z.array(z.unknown()).max(most);

/** Passes the issues of a value on. @param at index of the value in its list */
function report(
  { issues }: z.core.$ZodError,
  input: unknown,
  context: { readonly issues: z.core.$ZodRawIssue[] },
  ...at: number[]
): void {
  for (const issue of issues)
    context.issues.push({ ...issue, path: [...at, ...issue.path], input } as z.core.$ZodRawIssue);
}

/** The field `type` of an object; undefined without one. */
export function typeOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('type' in value)) return undefined;
  return typeof value.type === 'string' ? value.type : undefined;
}

/** A value of a type without a schema of its own. */
export interface Unknown {
  readonly type: 'unknown';
  /** The type as the client names it. */
  readonly name: string;
}

/** The schema of such a value. */
export const UNKNOWN = z.unknown().transform((value): Unknown => ({ type: 'unknown', name: typeOf(value) ?? '' }));
/** The form of such a value in openapi.yaml. */
export const otherForm = (description: string) => ({
  type: 'object',
  required: ['type'],
  properties: { type: { type: 'string' } },
  additionalProperties: true,
  description,
});
/** The schema of a value that should have a type and has none. */
export const NO_TYPE = z.object({ type: z.string() });

/** True for null and for an object whose fields are all null. */
const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(withoutNulls(value) as object).length === 0;

const noForm = z.object({});

/**
 * Chooses the schema of a format by its type. An object without fields counts as absent.
 * @param forms the schema of each type
 */
export const formOfType =
  <T>(forms: Readonly<Record<string, z.ZodType<T>>>, other: z.ZodType) =>
  (value: unknown): z.ZodType<T> => {
    const type = typeOf(value);
    if (type !== undefined && Object.hasOwn(forms, type)) return forms[type] as z.ZodType<T>;
    // The other schemas refuse every value that reaches them.
    return (type !== undefined ? other : isEmpty(value) ? noForm : NO_TYPE) as unknown as z.ZodType<T>;
  };
