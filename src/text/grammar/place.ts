/** Places in a schema as texts. Pure. */

/** UTF-16 units of a place: names of properties are texts of the caller. */
export const MAX_PLACE_UNITS = 256;

/**
 * A place as a text: `response_format.json_schema.schema.anyOf[0].not`.
 * @param root the text that the place begins with; may be empty
 * @param path keys and indices from there
 */
export function placeIn(root: string, path: readonly (string | number)[]): string {
  let place = root;
  for (const step of path) {
    if (typeof step === 'number') place += `[${step}]`;
    else place += place === '' ? step : `.${step}`;
    if (place.length > MAX_PLACE_UNITS) return `${place.slice(0, MAX_PLACE_UNITS - 1)}…`;
  }
  return place;
}
