/** The rows of the table of typed fields, by the type of the value. */

export interface FieldRow<T extends 'integer' | 'number' | 'string'> {
  readonly type: T;
  /** Meaning of the value, with its unit. */
  readonly meaning: string;
  /** For the documentation. */
  readonly example: T extends 'string' ? string : number;
  /** Maximum length in characters, if it differs from the general limit. */
  readonly limit?: number;
}

export const integer = (meaning: string, example: number): FieldRow<'integer'> => ({
  type: 'integer',
  meaning,
  example,
});
export const number = (meaning: string, example: number): FieldRow<'number'> => ({ type: 'number', meaning, example });
export const text = (meaning: string, example: string): FieldRow<'string'> => ({ type: 'string', meaning, example });
export const longText = (meaning: string, example: string, limit: number): FieldRow<'string'> => ({
  ...text(meaning, example),
  limit,
});
