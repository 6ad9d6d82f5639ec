/** Why a schema or a pattern cannot be compiled. Pure. */

/**
 * - `invalid`: not a schema or a pattern, by its standard;
 * - `unsupported`: a keyword or a part of a pattern that the grammar engine cannot enforce;
 * - `unsatisfiable`: no finite value matches;
 * - `too_complex`: the grammar needs more nodes, states, depth or time than the limits allow.
 */
export type GrammarProblem = 'invalid' | 'unsupported' | 'unsatisfiable' | 'too_complex';

export class GrammarError extends Error {
  override readonly name = 'GrammarError';
  readonly problem: GrammarProblem;
  /** Place in the source: keys and indices from its root, such as `['properties', 'a', 'not']`. */
  readonly path: readonly (string | number)[];

  /**
   * @param message the rest of a sentence that begins with the place: `is not supported; use anyOf`
   */
  constructor(problem: GrammarProblem, path: readonly (string | number)[], message: string) {
    super(message);
    this.problem = problem;
    this.path = path;
  }
}
