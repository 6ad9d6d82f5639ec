/** The narration of the fields of a body that have no effect. */
import { narrate } from '../narration/narrate.ts';

/** Maximum number of ignored fields that a narration lists: a body may have thousands. */
export const MAX_IGNORED = 256;

/** Narrates the names of ignored fields, if there are any. Must run inside the context of the request. */
export function narrateIgnoredFields(names: readonly string[]): void {
  if (names.length > 0) narrate('fields.ignored', { fields: names.slice(0, MAX_IGNORED).join(', ') });
}
