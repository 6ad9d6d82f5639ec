/** The form of the output that a request demands, for all dialects. Pure. */
import type { Json } from '../../../grammar/output-format.ts';
import type { DemandedFormat } from '../../../jobs/order.ts';
import type { ToolUse } from '../../../text/tools/tool-use.ts';
import { invalidField } from '../check.ts';

/**
 * The demand for a value of a JSON Schema.
 * @param field place of the schema in the body
 * @throws WorkerError `INVALID_REQUEST` without a schema
 */
export function schemaFormat(schema: unknown, field: string): DemandedFormat {
  if (schema === undefined) throw invalidField(field, 'required', `${field} is required`);
  // The body was parsed from JSON.
  return { format: { kind: 'schema', schema: schema as Json }, field };
}

/**
 * The only form of a request; undefined without one.
 * @throws WorkerError `INVALID_REQUEST` for two forms
 */
export function onlyFormat([first, second]: readonly DemandedFormat[]): DemandedFormat | undefined {
  if (first === undefined || second === undefined) return first;
  const message = `${first.field} and ${second.field} must not be used together: an output has one form`;
  throw invalidField(second.field, 'exclusive', message);
}

/**
 * The form beside the choice of a tool. An output that must be a call has the form of its tool, and the
 * demanded one has no effect: its field is then in `ignored`.
 */
export function besideTools(
  format: DemandedFormat | undefined,
  choice: ToolUse['choice'],
): { readonly format?: DemandedFormat; readonly ignored: readonly string[] } {
  if (format === undefined) return { ignored: [] };
  return choice === 'auto' || choice === 'none' ? { format, ignored: [] } : { ignored: [format.field] };
}
