/** Turns the body of `POST /v1/completions` into an order. */
import type { FastifyRequest } from 'fastify';
import { type CompletionRequest, DEFAULT_COMPLETION_TOKENS } from '../../../contract/openai/completions.ts';
import type { GenerationOrder } from '../../../jobs/order.ts';
import { type CheckedBody, invalidField } from '../../dialect/check.ts';
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
  const { n = 1, echo = false, logprobs, max_tokens: maxTokens = DEFAULT_COMPLETION_TOKENS } = body;
  refuseOthers(body, request.body as object);
  const inputs = promptsOf(body.prompt, body.add_special_tokens ?? true);
  requireFew(inputs.length, n);
  return {
    ...sharedOrder(body, maxTokens, request),
    ...(reportsEnd(body) && { ignoreEos: true }),
    jobId: head.id,
    inputs,
    logprobs,
    promptLogprobs: echo ? logprobs : undefined,
    ignoredFields: ignoredNames(body, unknown, head.model),
  };
}

/**
 * True if the only token of each output is reported also if it ends the sequence. Harnesses that compute the
 * likelihood of a text ask for one token with `echo` and `logprobs`, and remove the last entry of the lists.
 */
export function reportsEnd({ logprobs, max_tokens: maxTokens, min_tokens: minTokens = 0 }: CompletionRequest): boolean {
  return logprobs !== undefined && maxTokens === 1 && minTokens === 0;
}

function refuseOthers(body: CompletionRequest, given: object): void {
  const { n = 1, best_of: best = 1, max_tokens: maxTokens, echo } = body;
  refuseField(given, 'suffix', 'put the text after the cursor into the prompt, in the format of the model');
  refuseField(given, 'prompt_logprobs', 'use echo and logprobs');
  if (best !== 1 && best !== n) throw invalidField('best_of', 'enum', `best_of must be 1 or n, ${n}, but is ${best}`);
  if (maxTokens === 0 && !echo)
    throw invalidField('max_tokens', 'minimum', 'max_tokens must be at least 1 without echo, but is 0');
}
