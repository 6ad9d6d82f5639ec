/** Turns the body of `POST /v1/completions` into an order. */
import type { FastifyRequest } from 'fastify';
import { type CompletionRequest, DEFAULT_COMPLETION_TOKENS } from '../../../contract/openai/completions.ts';
import type { GenerationOrder } from '../../../jobs/order.ts';
import { type CheckedBody, invalidField } from '../../dialect/check.ts';
import { maximumOf } from '../../dialect/sampling-order.ts';
import { formatOf } from '../shared/format.ts';
import { type AnswerHead, ignoredNames, refuseField, sharedOrder } from '../shared/order.ts';
import { promptsOf, requireFew } from './prompts.ts';

/**
 * The order of a checked body.
 * @throws WorkerError `INVALID_REQUEST` for a rule that the schema does not have
 */
export function completionOrder(
  checked: CheckedBody<CompletionRequest>,
  head: AnswerHead,
  request: FastifyRequest,
): GenerationOrder {
  const { value: body, unknown } = checked;
  const { n = 1, echo = false, logprobs } = body;
  refuseOthers(body, request.body as object);
  const inputs = promptsOf(body.prompt, body.add_special_tokens ?? true);
  requireFew(inputs.length, n);
  const { format, ignored } = formatOf(body, request.body as object);
  return {
    ...sharedOrder(body, maxTokensOf(body), request),
    ...(reportsEnd(body) && { ignoreEos: true }),
    jobId: head.id,
    inputs,
    format,
    logprobs,
    promptLogprobs: echo ? logprobs : undefined,
    ignoredFields: [...ignoredNames(body, unknown, head.model), ...ignored],
  };
}

/** The maximum of each output. With `echo`, 0 is a request for the prompt alone. */
function maxTokensOf({ max_tokens: given, echo }: CompletionRequest): number {
  return echo && given === 0 ? 0 : (maximumOf(given) ?? DEFAULT_COMPLETION_TOKENS);
}

/**
 * True if the only token of each output is reported also if it ends the sequence. Harnesses that compute the
 * likelihood of a text ask for one token with `echo` and `logprobs`, and remove the last entry of the lists.
 */
export function reportsEnd(body: CompletionRequest): boolean {
  const { logprobs, min_tokens: minTokens = 0 } = body;
  return logprobs !== undefined && maxTokensOf(body) === 1 && minTokens === 0;
}

function refuseOthers(body: CompletionRequest, given: object): void {
  const { n = 1, best_of: best = 1 } = body;
  refuseField(given, 'suffix', 'put the text after the cursor into the prompt, in the format of the model');
  refuseField(given, 'prompt_logprobs', 'use echo and logprobs');
  if (best !== 1 && best !== n) throw invalidField('best_of', 'enum', `best_of must be 1 or n, ${n}, but is ${best}`);
}
