/**
 * The rule that `null` means absent: many clients write every optional field, and null for those without a
 * value.
 */
import { z } from 'zod';

type Shape = Readonly<Record<string, z.ZodType>>;
/** The fields of a body as a client may send them. */
type Given<F extends Shape> = {
  [N in keyof F as undefined extends z.input<F[N]> ? N : never]?: z.input<F[N]> | null;
} & { [N in keyof F as undefined extends z.input<F[N]> ? never : N]: z.input<F[N]> };
type Present<F extends Shape> = z.output<z.ZodObject<F>>;

/**
 * The schema of an object whose optional fields may be null. Its output lacks those fields. Every object of a
 * request uses it, so that no field has a rule of its own for null.
 * @param withRule adds a rule between the fields, some of which may be null or invalid
 */
export function objectWithNulls<F extends Shape>(
  fields: F,
  withRule = (object: z.ZodType): z.ZodType => object,
): z.ZodType<Present<F>, Given<F>> {
  const nullable = Object.entries(fields).map(([name, field]) => [
    name,
    field instanceof z.ZodOptional ? field.nullable() : field,
  ]);
  const object = withRule(z.object(Object.fromEntries(nullable) as Shape));
  return object.transform(withoutNulls) as unknown as z.ZodType<Present<F>, Given<F>>;
}

/** A copy without the fields that are null; any value that is not an object is returned unchanged. */
export function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null));
}
