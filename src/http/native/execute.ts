/**
 * POST /execute: admits a job and streams its events.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import { type ExecuteRequest, type LimitSettings, limitsOf } from '../../contract/execute.ts';
import type { Admission } from '../../jobs/admission.ts';
import type { GenerationOrder } from '../../jobs/order.ts';
import { factsOf } from '../correlation.ts';
import { requireLength } from '../dialect/sampling-order.ts';
import { jobHeaders, SSE_HEADERS, sseEncoder } from '../sse.ts';
import { type Checked, executeChecker } from '../validate.ts';
import { orderOf } from './order.ts';

/**
 * The handler of `POST /execute`.
 * @throws WorkerError, from the handler, for every error before the stream begins
 */
export function executeHandler(admission: Admission, settings: LimitSettings & Pick<Config, 'eventIds'>) {
  const checkerOf = checkers(settings);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { facts } = admission.requireReady();
    const order = orderOf(checkerOf(facts.context)(request.body), request.headers['x-deadline']);
    // The check of the body counts the texts of messages only.
    if (order.toolUse) requireLength(order, limitsOf(settings, facts.context), fieldOf(order));
    const encoderOf = (runId: string) => sseEncoder(request.id, settings.eventIds === 'number' ? undefined : runId);
    request.trace?.answersAs(true);
    const admitted = await admission.admit({ order, facts: factsOf(request), encoderOf }, reply.raw);
    const { subscriber, runId } = admitted;
    // The client may have left while the prompt was tokenized; with on_disconnect: continue, the job runs.
    if (subscriber.destroyed) return reply.hijack();
    return reply.headers({ ...SSE_HEADERS, ...jobHeaders(order.jobId, runId) }).send(subscriber);
  };
}

/** The field that an error about the length of a conversation names. */
const fieldOf = ({ inputs: [input] }: GenerationOrder): string =>
  input !== undefined && 'prompt' in input ? 'prompt' : 'messages';

/** The checker for a context length, which is known when the model is loaded. Keeps the last one. */
function checkers(settings: LimitSettings): (context: number) => (body: unknown) => Checked<ExecuteRequest> {
  let last: { readonly context: number; readonly check: (body: unknown) => Checked<ExecuteRequest> } | undefined;
  return (context) => {
    if (last?.context !== context) last = { context, check: executeChecker(limitsOf(settings, context)) };
    return last.check;
  };
}
