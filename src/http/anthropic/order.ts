/**
 * Turns a body of Anthropic's Messages API into an order, which is independent of the wire format.
 */
import type { FastifyRequest } from 'fastify';
import {
  type AnthropicTool,
  MESSAGES_FIELDS,
  MessagesBody,
  type MessagesRequest,
} from '../../contract/anthropic/request.ts';
import type { Limits } from '../../contract/execute.ts';
import type { DemandedFormat, GenerationOrder } from '../../jobs/order.ts';
import type { Conversation, FunctionTool } from '../../text/template/conversation.ts';
import type { ToolUse } from '../../text/tools/tool-use.ts';
import { requireBoundedLists } from '../dialect/bounded-lists.ts';
import { checkBody, invalidField } from '../dialect/check.ts';
import { besideTools, onlyFormat, schemaFormat } from '../dialect/format/demanded-format.ts';
import { deadlineOrder, maximumOf, requireLength, samplingOrder } from '../dialect/sampling-order.ts';
import { shownText } from '../validate.ts';
import { conversationOf } from './conversation.ts';
import { ignoredIn } from './ignored.ts';

/** A checked body, and its order. */
export interface MessagesOrder {
  readonly body: MessagesRequest;
  readonly order: GenerationOrder;
}

/** The facts that an order takes from the worker. */
export interface OrderFacts {
  readonly jobId: string;
  /** Name of the loaded model. */
  readonly model: string;
  readonly limits: Limits;
}

/**
 * The order of a request.
 * @throws WorkerError `INVALID_REQUEST` with all violations of the schema, or the first of the other rules
 */
export function messagesOrder(
  request: Pick<FastifyRequest, 'body' | 'headers'>,
  { jobId, model, limits }: OrderFacts,
): MessagesOrder {
  requireBoundedLists(request.body);
  const { value: body, unknown } = checkBody(MessagesBody, MESSAGES_FIELDS, request.body);
  const { functions, fields, ignored } = toolsOf(body.tools ?? []);
  const toolUse = toolUseOf(body.tool_choice, functions);
  const conversation = conversationOf(body);
  const { format, ignored: besideCalls } = besideTools(formatOf(body, conversation), toolUse.choice);
  const order: GenerationOrder = {
    jobId,
    inputs: [
      {
        ...conversation,
        tools: toolUse.choice === 'none' ? [] : functions,
      },
    ],
    toolUse: { ...toolUse, reasoning: reasoningOf(body) },
    maxTokens: maximumOf(body.max_tokens),
    minTokens: body.min_tokens,
    ignoreEos: body.ignore_eos,
    sampling: samplingOrder(body),
    stop: body.stop_sequences,
    format,
    toolFields: toolUse.choice === 'none' ? [] : fields,
    timeoutMs: body.timeout_ms,
    deadline: deadlineOrder(request),
    onDisconnect: 'cancel',
    ignoredFields: [...new Set([...unknown, ...ignoredIn(body, request.body, model), ...ignored, ...besideCalls])],
  };
  requireLength(order, limits, 'messages');
  return { body, order };
}

/**
 * The form of the answer.
 * @throws WorkerError `INVALID_REQUEST` for two forms, and for a form of an answer that the request begins:
 *   the answer has only the rest, which alone is no value of a schema
 */
function formatOf(
  { output_config, output_format }: MessagesRequest,
  { answerStart }: Pick<Conversation, 'answerStart'>,
): DemandedFormat | undefined {
  const formats = { 'output_config.format': output_config?.format, output_format };
  const demanded = Object.entries(formats).flatMap(([field, format]) =>
    format?.type === 'json_schema' ? [schemaFormat(format.schema, `${field}.schema`)] : [],
  );
  const format = onlyFormat(demanded);
  if (format === undefined || answerStart === undefined) return format;
  const message = `${format.field} must not be used with a last message of the assistant; end messages with one of the user`;
  throw invalidField(format.field, 'exclusive', message);
}

/** The tools of a request. */
interface Tools {
  readonly functions: readonly FunctionTool[];
  /** Places of their schemas in the body. */
  readonly fields: readonly string[];
  /** Tools of the server, such as `tools[2] (web_search_20250305)`. */
  readonly ignored: readonly string[];
}

/** @throws WorkerError `INVALID_REQUEST` for a function without a name, and for two functions of one name */
function toolsOf(tools: readonly AnthropicTool[]): Tools {
  const functions: FunctionTool[] = [];
  const fields: string[] = [];
  const ignored: string[] = [];
  for (const [at, { type = 'custom', name, description, input_schema, strict }] of tools.entries()) {
    if (type !== 'custom') {
      ignored.push(`tools[${at}] (${shownText(type)})`);
      continue;
    }
    if (name === undefined) throw invalidField(`tools[${at}].name`, 'required', `tools[${at}].name is required`);
    if (functions.some((other) => other.name === name))
      throw invalidField(
        `tools[${at}].name`,
        'unique',
        `tools[${at}].name must differ from the names of the other functions`,
      );
    // The values come from a JSON body.
    functions.push({ name, description, parameters: input_schema as FunctionTool['parameters'], strict });
    fields.push(`tools[${at}].input_schema`);
  }
  return { functions, fields, ignored };
}

/** @throws WorkerError `INVALID_REQUEST` for a choice that no function can satisfy */
function toolUseOf(given: MessagesRequest['tool_choice'], functions: readonly FunctionTool[]): ToolUse {
  const { type = 'auto', name, disable_parallel_tool_use: single = false } = given ?? {};
  const parallel = !single;
  if (type === 'auto' || type === 'none') return { choice: type, parallel };
  if (functions.length === 0)
    throw invalidField('tool_choice', 'tools', `tool_choice ${type} requires a function in tools`);
  if (type === 'any') return { choice: 'required', parallel };
  if (name === undefined) throw invalidField('tool_choice.name', 'required', 'tool_choice.name is required');
  if (!functions.some((one) => one.name === name))
    throw invalidField('tool_choice.name', 'enum', 'tool_choice.name must be the name of a function in tools');
  return { choice: { name }, parallel };
}

/** The wish for reasoning. Templates know the names of OpenAI's efforts only. */
function reasoningOf({ thinking, output_config }: MessagesRequest): ToolUse['reasoning'] {
  const effort = output_config?.effort;
  return {
    enabled: thinking && thinking.type !== 'disabled',
    effort: effort === 'xhigh' || effort === 'max' ? 'high' : effort,
  };
}
