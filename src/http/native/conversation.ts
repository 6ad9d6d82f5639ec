/**
 * The conversation of `POST /execute` with its tools, and the parts of its output. A body without tools,
 * reasoning and parts is an order without `toolUse`: its output is one text. Pure.
 */
import type { ExecuteRequest } from '../../contract/execute.ts';
import type { NativeMessage } from '../../contract/tools/messages.ts';
import type { GenerationOrder, Input } from '../../jobs/order.ts';
import type { ChatMessage } from '../../text/template/conversation.ts';
import { callsOf } from '../dialect/tools/earlier-calls.ts';
import { toolsOf } from '../dialect/tools/function-tools.ts';

/** The part of an order that this file reads, and the fields without an effect. */
export interface ConversationOrder extends Pick<GenerationOrder, 'inputs' | 'toolUse' | 'toolFields' | 'undivided'> {
  readonly ignored: readonly string[];
}

/**
 * The conversation of a valid body.
 * @throws WorkerError `INVALID_REQUEST` for a broken tool, and for calls in a message of another role
 */
export function conversationOf(body: ExecuteRequest): ConversationOrder {
  const input = inputOf(body);
  // The other fields of a conversation exclude `raw`.
  if ('prompt' in input && input.raw) return { inputs: [input], ignored: body.parts === true ? ['parts'] : [] };
  if (!isDialogue(body)) return { inputs: [input], ignored: [] };
  const { tools, fields, toolUse, ignored } = toolsOf(body);
  return {
    inputs: [tools.length > 0 ? { ...input, tools } : input],
    toolUse: { ...toolUse, reasoning: { enabled: body.enable_thinking, effort: body.reasoning_effort } },
    toolFields: fields,
    undivided: !(body.parts ?? body.tools !== undefined),
    ignored,
  };
}

function inputOf({ messages, prompt = '', raw = false }: ExecuteRequest): Exclude<Input, { ids: readonly number[] }> {
  return messages ? { messages: messages.map(messageOf) } : { prompt, raw };
}

function messageOf(message: NativeMessage, index: number): ChatMessage {
  const { role, content = '', tool_call_id: toolCallId } = message;
  const toolCalls = callsOf(message, `messages[${index}]`);
  const reasoning = message.reasoning_content ?? message.reasoning;
  return {
    role,
    content,
    ...(role === 'assistant' && reasoning !== undefined && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
    ...(role === 'tool' && toolCallId !== undefined && { toolCallId }),
  };
}

/** True if a body has a field or a message of a conversation with tools, with reasoning or with parts. */
const isDialogue = (body: ExecuteRequest): boolean =>
  body.parts === true ||
  body.tools !== undefined ||
  body.tool_choice !== undefined ||
  body.parallel_tool_calls !== undefined ||
  body.enable_thinking !== undefined ||
  body.reasoning_effort !== undefined ||
  (body.messages ?? []).some(
    ({ role, tool_calls: calls = [], reasoning, reasoning_content: other }) =>
      role === 'tool' || calls.length > 0 || (role === 'assistant' && (reasoning ?? other) !== undefined),
  );
