/** Turns the body of `POST /v1/responses` into an order, which is independent of the wire format. */
import type { FastifyRequest } from 'fastify';
import { WorkerError } from '../../../contract/errors.ts';
import type { Limits } from '../../../contract/execute.ts';
import type { ResponsesRequest } from '../../../contract/openai/responses/body.ts';
import type { GenerationOrder } from '../../../jobs/order.ts';
import { type CheckedBody, invalidField } from '../../dialect/check.ts';
import { besideTools } from '../../dialect/format/demanded-format.ts';
import { maximumOf, requireLength } from '../../dialect/sampling-order.ts';
import { textFormatOf } from '../shared/format.ts';
import { sharedOrder } from '../shared/order.ts';
import { ignoredFields, LOGPROBS } from './ignored.ts';
import { readInput } from './input.ts';
import type { ReadTools } from './tools.ts';

/** The facts about the worker that an order depends on. */
export interface OrderFacts {
  readonly id: string;
  readonly model: string;
  readonly limits: Limits;
  readonly tools: ReadTools;
}

/**
 * The order of a checked body.
 * @throws WorkerError `INVALID_REQUEST` for a field that this worker cannot serve
 */
export function responsesOrder(
  { value: body, unknown }: CheckedBody<ResponsesRequest>,
  request: FastifyRequest,
  { id, model, limits, tools: { tools, fields, choice, ignored: ignoredTools } }: OrderFacts,
): GenerationOrder {
  refuseUnsupported(body);
  if (body.input === undefined) throw invalidField('input', 'required', 'input is required');
  const { messages, ignored: ignoredItems } = readInput(body.input, body.instructions);
  const offered = choice === 'none' ? [] : tools;
  const { format: demanded, ignored: ofFormat } = textFormatOf(body.text?.format, body, request.body as object);
  const { format, ignored: besideCalls } = besideTools(demanded, choice);
  const order: GenerationOrder = {
    jobId: id,
    inputs: [{ messages, tools: offered }],
    toolUse: { choice, parallel: body.parallel_tool_calls ?? true, reasoning: { effort: body.reasoning?.effort } },
    ...sharedOrder({ ...body, stream_options: undefined }, maximumOf(body.max_output_tokens), request),
    format,
    toolFields: choice === 'none' ? [] : fields,
    logprobs: logprobsOf(body),
    ignoredFields: [
      ...unknown,
      ...ignoredFields(body, model),
      ...ignoredItems,
      ...ignoredTools,
      ...ofFormat,
      ...besideCalls,
    ],
  };
  requireLength(order, limits, 'input');
  return order;
}

/** Refuses fields that need stored answers. */
function refuseUnsupported(body: ResponsesRequest): void {
  const { previous_response_id: previous, conversation, prompt, background } = body;
  if (previous !== undefined)
    throw unsupported(
      'previous_response_id',
      'is not supported: the worker stores no answers; send the whole conversation in input',
    );
  if (conversation !== undefined)
    throw unsupported(
      'conversation',
      'is not supported: the worker stores no conversations; send the whole conversation in input',
    );
  if (prompt !== undefined)
    throw unsupported(
      'prompt',
      'is not supported: the worker stores no prompts; send the text in instructions and input',
    );
  if (background === true) throw unsupported('background', 'must be false: the worker stores no answers; use stream');
}

const unsupported = (field: string, rule: string) => invalidField(field, 'unsupported', `${field} ${rule}`);

/** Alternatives of each token; undefined if the answer has no log-probabilities. */
function logprobsOf({ include, top_logprobs: top }: ResponsesRequest): number | undefined {
  if (Array.isArray(include) && include.includes(LOGPROBS)) return top ?? 0;
  return top === 0 ? undefined : top;
}

/**
 * The same promise, but its errors name the conversation `input`. In an order, a conversation has messages.
 * @throws WorkerError as the promise
 */
export async function namingInput<T>(admitted: Promise<T>): Promise<T> {
  try {
    return await admitted;
  } catch (error) {
    if (!(error instanceof WorkerError) || !error.violations) throw error;
    const { code, violations, details, retry, status } = error;
    const named = violations.map((violation) =>
      violation.field === 'messages'
        ? { ...violation, field: 'input', message: violation.message.replace(/^messages\b/, 'input') }
        : violation,
    );
    throw new WorkerError(code, undefined, { violations: named, retry, status, ...(details && { details }) });
  }
}
