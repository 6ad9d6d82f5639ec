/** The forms that a request can demand of an output. Types only. */

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export type OutputFormat =
  /** Any object of JSON. */
  | { readonly kind: 'json_object' }
  /** A value of JSON that a JSON Schema accepts. */
  | { readonly kind: 'schema'; readonly schema: Json }
  /** A text that a regular expression matches as a whole. */
  | { readonly kind: 'regex'; readonly pattern: string }
  /** One of these texts, at least one of them. */
  | { readonly kind: 'choice'; readonly choices: readonly string[] };
