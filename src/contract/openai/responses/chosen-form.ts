/**
 * Schemas for values of several forms. A union of zod reports that no form fits; these schemas choose the
 * form first, so that an error names the field within it.
 */
import { z } from 'zod';

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
      for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: value } as z.core.$ZodRawIssue);
      return z.NEVER;
    })
    .meta({ description, anyOf }) as unknown as z.ZodType<T, unknown>;
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
