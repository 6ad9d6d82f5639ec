/** Turns the body of `POST /v1/chat/completions` into an order. */
import type { FastifyRequest } from 'fastify';
import type { ChatRequest } from '../../../contract/openai/chat.ts';
import type { GenerationOrder } from '../../../jobs/order.ts';
import type { Json } from '../../../text/template/conversation.ts';
import { type CheckedBody, invalidField } from '../../dialect/check.ts';
import { besideTools } from '../../dialect/format/demanded-format.ts';
import { maximumOf } from '../../dialect/sampling-order.ts';
import { toolsOf } from '../../dialect/tools/function-tools.ts';
import { formatOf } from '../shared/format.ts';
import { type AnswerHead, ignoredNames, refuseField, sharedOrder } from '../shared/order.ts';
import { messagesOf } from './messages.ts';

/**
 * The order of a checked body.
 * @throws WorkerError `INVALID_REQUEST` for a rule that the schema does not have
 */
export function chatOrder(
  checked: CheckedBody<ChatRequest>,
  head: AnswerHead,
  request: FastifyRequest,
): GenerationOrder {
  const { value: body, unknown } = checked;
  refuseOthers(body, request.body);
  const messages = messagesOf(body.messages);
  const { tools, fields, toolUse, ignored: ofTools } = toolsOf(body);
  const { format: demanded, ignored: ofFormat } = formatOf(body, request.body as object);
  const { format, ignored: besideCalls } = besideTools(demanded, toolUse.choice);
  // A value of JSON.parse has no other types.
  const variables = body.chat_template_kwargs as Record<string, Json> | undefined;
  const maxTokens = maximumOf(body.max_completion_tokens) ?? maximumOf(body.max_tokens);
  return {
    ...sharedOrder(body, maxTokens, request),
    jobId: head.id,
    inputs: [{ messages, ...(tools.length > 0 && { tools }), ...(variables && { variables }) }],
    toolUse: { ...toolUse, reasoning: { enabled: body.enable_thinking, effort: body.reasoning_effort } },
    template: body.template,
    format,
    toolFields: fields,
    logprobs: logprobsOf(body),
    ignoredFields: [...ignoredNames(body, unknown, head.model), ...ofTools, ...ofFormat, ...besideCalls],
  };
}

/** Refuses fields that the worker cannot follow, and that would change the output. */
function refuseOthers(body: ChatRequest, given: unknown): void {
  const all = given as object;
  refuseField(all, 'functions', 'use tools');
  refuseField(all, 'function_call', 'use tool_choice');
  refuseField(all, 'audio', 'this worker writes text only');
  refuseField(all, 'chat_template', 'use template with the name of a template of the model');
  refuseField(all, 'prompt_logprobs', 'use POST /v1/completions with echo and logprobs');
  const other = body.modalities?.findIndex((one) => one !== 'text') ?? -1;
  if (other >= 0) throw invalidField(`modalities[${other}]`, 'unsupported', `modalities[${other}] must be text`);
}

/** The number of alternatives; undefined without log-probabilities. */
function logprobsOf({ logprobs, top_logprobs: top }: ChatRequest): number | undefined {
  if (logprobs) return top ?? 0;
  if (top === undefined || top === 0) return undefined;
  throw invalidField('top_logprobs', 'logprobs', 'top_logprobs requires logprobs: true');
}
