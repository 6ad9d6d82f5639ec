/**
 * A conversation with tools, in the form that all dialects share, and its form for a chat template: that of
 * the transformers library (`apply_chat_template`). Pure.
 */

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** A function that the model may call. */
export interface FunctionTool {
  readonly name: string;
  readonly description?: string | undefined;
  /** JSON Schema of the arguments. The order of its keys is the one of the request. */
  readonly parameters?: { readonly [name: string]: Json } | undefined;
  /** true: the arguments of every call match the schema. Responses repeat this wish. */
  readonly strict?: boolean | undefined;
}

/** A call that an assistant made earlier in the conversation. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text of an object; any other text is passed to the template as it is. */
  readonly arguments: string;
}

export interface ChatMessage {
  readonly role: string;
  /** `''` for a message without text. */
  readonly content: string;
  /** Reasoning of an assistant before this answer. */
  readonly reasoning?: string | undefined;
  /** Calls of an assistant. */
  readonly toolCalls?: readonly ToolCall[] | undefined;
  /** Id of the call that a message of the role `tool` answers. */
  readonly toolCallId?: string | undefined;
  /** Name of the author, or of the function that a message of the role `tool` answers. */
  readonly name?: string | undefined;
}

export interface Conversation {
  readonly messages: readonly ChatMessage[];
  /** Tools that the template lists; absent or empty: none. */
  readonly tools?: readonly FunctionTool[] | undefined;
  /** The template gets the arguments of calls as texts; default: as objects. */
  readonly textArguments?: boolean | undefined;
  /** Variables of the template, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, Json>> | undefined;
  /** The beginning of the answer, written after the rendered prompt. */
  readonly answerStart?: string | undefined;
}

/** UTF-16 units of all texts of a conversation: the measure of its work. */
export function conversationUnits({ messages, tools = [], variables, answerStart = '' }: Conversation): number {
  let units = answerStart.length;
  for (const { role, content, reasoning = '', toolCalls = [] } of messages) {
    units += role.length + content.length + reasoning.length;
    for (const call of toolCalls) units += call.name.length + call.arguments.length;
  }
  if (tools.length > 0) units += JSON.stringify(tools).length;
  if (variables) units += JSON.stringify(variables).length;
  return units;
}

/**
 * The variables of a chat template for a conversation.
 * @param readsParts true if the template reads the content of a message as a list of parts
 */
export function templateVariables(
  { messages, tools = [], textArguments = false, variables }: Conversation,
  readsParts: boolean,
): Record<string, unknown> {
  return {
    ...variables,
    messages: messages.map((message) => messageVariable(message, { readsParts, textArguments })),
    add_generation_prompt: true,
    tools: tools.length > 0 ? tools.map(toolVariable) : null,
    documents: null,
  };
}

interface MessageForm {
  readonly readsParts: boolean;
  readonly textArguments: boolean;
}

function messageVariable(message: ChatMessage, { readsParts, textArguments }: MessageForm): Record<string, unknown> {
  const { role, content, reasoning, toolCalls = [], toolCallId, name } = message;
  return {
    role,
    content: readsParts ? [{ type: 'text', text: content }] : content,
    // Templates read the one or the other name.
    ...(reasoning !== undefined && { reasoning_content: reasoning, reasoning }),
    ...(toolCalls.length > 0 && { tool_calls: toolCalls.map((call) => callVariable(call, textArguments)) }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
    ...(name !== undefined && { name }),
  };
}

function callVariable(call: ToolCall, textArguments: boolean): Record<string, unknown> {
  const text = argumentsText(call);
  const { id, name } = call;
  return { id, type: 'function', function: { name, arguments: textArguments ? text : argumentsOf(text) } };
}

/** The text of the arguments of a call. Some clients send an empty one for a call without arguments. */
export const argumentsText = ({ arguments: text }: ToolCall): string => (text.trim() === '' ? '{}' : text);

/** Most templates write the arguments as an object. */
function argumentsOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : text;
  } catch {
    return text;
  }
}

const toolVariable = ({ name, description, parameters }: FunctionTool) => ({
  type: 'function',
  function: {
    name,
    description: description ?? '',
    parameters: parameters ?? { type: 'object', properties: {} },
  },
});
