/**
 * The part of an order that the dialects share: sampling parameters, stop strings, limits, and the headers of
 * the request.
 */
import type { FastifyRequest } from 'fastify';
import type { Limits } from '../../contract/execute.ts';
import { samplingIn } from '../../contract/sampling-fields.ts';
import type { GenerationOrder } from '../../jobs/order.ts';
import { unitsInAll } from '../../jobs/order.ts';
import type { Sampling } from '../../protocol/sampling.ts';
import { deadlineOf } from '../native/order.ts';
import { invalidError, invalidField } from './check.ts';

/** Sampling parameters of a dialect's body, which has the field names of `/execute`. */
type SamplingBody = Parameters<typeof samplingIn>[0];

/** Values of `seed` of the engine: the whole numbers from 0 that are below this one. */
const SEEDS = 2 ** 53;

/**
 * The sampling parameters. Other servers take -1 as `top_k` for off, and seeds of any sign and size: these
 * are mapped to the range of the engine.
 */
export function samplingOrder(body: SamplingBody): Partial<Sampling> {
  const { seed, top_k: topK } = body;
  return samplingIn({
    ...body,
    ...(seed !== undefined && { seed: seedOf(seed) }),
    ...(topK === -1 && { top_k: 0 }),
  });
}

/** The rest of the division of a seed by 2^53, which is never negative. */
function seedOf(seed: number): number {
  const rest = seed % SEEDS;
  return rest < 0 ? rest + SEEDS : Math.abs(rest);
}

/**
 * The maximum number of tokens that counts: no number is refused. Clients send a negative one for no
 * maximum, and 0 for the least possible output.
 */
export function maximumOf(given: number | undefined): number | undefined {
  return given === undefined || given < 0 ? undefined : Math.max(1, given);
}

/**
 * The time at which the caller no longer needs the answer, from the header `X-Deadline`, in epoch
 * milliseconds.
 * @throws WorkerError `INVALID_REQUEST`
 */
export function deadlineOrder({ headers }: Pick<FastifyRequest, 'headers'>): number | undefined {
  const { at, violation } = deadlineOf(headers['x-deadline']);
  if (violation) throw invalidError([violation]);
  return at;
}

/**
 * Refuses an order with more text than the operator allows. Counts UTF-16 units: an emoji counts as two
 * characters.
 * @param field name of the field with the texts
 * @throws WorkerError `INVALID_REQUEST`
 */
export function requireLength(
  order: Pick<GenerationOrder, 'inputs'>,
  { promptChars }: Pick<Limits, 'promptChars'>,
  field: string,
): void {
  if (unitsInAll(order) <= promptChars) return;
  const message = `${field} must have at most ${promptChars} characters together; --max-prompt-chars sets the maximum`;
  throw invalidField(field, 'max_length', message);
}
