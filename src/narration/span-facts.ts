/**
 * The facts of a narration that an exported span may have. Spans leave the machine: texts that a caller has
 * written stay out, also as names of fields.
 */
import type { Entry } from './entry.ts';
import type { FieldName } from './fields.ts';

/**
 * The text fields of request events whose values are words of this program, or the end of a process. Not
 * among them: `fields` and `without_effect`, which repeat names of the request body and of its schemas.
 */
export const SPAN_TEXTS: ReadonlySet<FieldName> = new Set([
  'cached_grammar',
  'cause',
  'copied_from',
  'error_kind',
  'reason',
  'stop_reason',
]);

/** Values of a narration, by name. */
type Facts = Readonly<Record<string, string | number | undefined>>;

/**
 * The numbers and the allowed texts of a narration; and its sentence, unless that may repeat another text.
 * @param entry the event of the narration
 */
export function spanFacts(narration: Facts, entry: Pick<Entry, 'required' | 'optional'>): Facts {
  const facts: Record<string, string | number | undefined> = { level: narration['level'] };
  let repeats = false;
  for (const name of [...entry.required, ...entry.optional]) {
    const value = narration[name];
    if (typeof value === 'string' && !SPAN_TEXTS.has(name)) repeats = true;
    else facts[name] = value;
  }
  return repeats ? facts : { ...facts, human: narration['human'] };
}
