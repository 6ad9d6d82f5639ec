/** The limits of `logit_bias`, which the contract and the engine share. Plain data. */
import type { Range } from './sampling.ts';

/** An id, and the number that is added to its logit. */
export type LogitBias = readonly [id: number, bias: number];

/** Maximum number of ids with a bias in one request. OpenAI's API accepts 300. */
export const MAX_LOGIT_BIASES = 1024;

/** The allowed biases. Rule: OpenAI API reference, `logit_bias`. */
export const LOGIT_BIAS_RANGE: Range & { readonly max: number } = { min: -100, max: 100 };
