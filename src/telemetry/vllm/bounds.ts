/**
 * The bounds of vLLM's histograms, in seconds, as `vllm/v1/metrics/loggers.py` has them: a dashboard can add
 * up the buckets of workers of both kinds.
 */

/** The bounds of `vllm:time_to_first_token_seconds`. */
export const TIME_TO_FIRST_TOKEN_SECONDS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
];

/** The bounds of the times of one token. */
export const TOKEN_SECONDS = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
];

/** The bounds of the times of a whole request and its parts. */
export const REQUEST_SECONDS = [
  0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
];
