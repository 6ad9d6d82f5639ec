/**
 * Anthropic's messages as a conversation, in the form that all dialects share. Pure.
 */
import {
  type AnthropicBlock,
  type AnthropicMessage,
  BLOCK_TYPES,
  type MessagesRequest,
} from '../../contract/anthropic/request.ts';
import type { ChatMessage, Conversation, ToolCall } from '../../text/template/conversation.ts';
import { invalidField } from '../dialect/check.ts';

/** Beginning of the result of a failed call: chat templates have no field for a failure. */
const FAILED = 'Error: ';

/** The messages of a request, and the beginning of the answer if the last of them is the assistant's. */
export type AnthropicConversation = Pick<Conversation, 'messages' | 'answerStart'>;

/**
 * Converts system prompt and messages. Texts of several blocks are joined by line ends, without empty ones.
 * Blocks of an unknown type are skipped. Neighbours of the role user or assistant become one message, as
 * Anthropic's API combines them: many templates want the roles to take turns.
 * @throws WorkerError `INVALID_REQUEST` for a block without its fields, for a block that its author cannot
 *   send, and for a beginning of an answer that has more than text or follows no message
 */
export function conversationOf({
  system,
  messages,
}: Pick<MessagesRequest, 'system' | 'messages'>): AnthropicConversation {
  const last = messages.at(-1);
  const answerStart = last?.role === 'assistant' ? answerStartOf(last, messages.length - 1) : undefined;
  const before = answerStart === undefined ? messages : messages.slice(0, -1);
  if (!before.some(({ role }) => role !== 'system'))
    throw invalidField('messages', 'required', 'messages must have a message of the user');
  const names = new Map<string, string>();
  const converted = joined(before.flatMap((message, at) => messagesOf(message, `messages[${at}]`, names)));
  const instructions = textOf(system ?? '', 'system');
  const first = instructions === '' ? [] : [{ role: 'system', content: instructions }];
  return { messages: [...first, ...converted], ...(answerStart && { answerStart }) };
}

/** The messages with neighbours of the role user, and of the role assistant, as one message. */
function joined(messages: readonly ChatMessage[]): ChatMessage[] {
  const result: ChatMessage[] = [];
  for (const message of messages) {
    const last = result.at(-1);
    if (last?.role === message.role && (message.role === 'user' || message.role === 'assistant'))
      result[result.length - 1] = together(last, message);
    else result.push(message);
  }
  return result;
}

function together(first: ChatMessage, second: ChatMessage): ChatMessage {
  const reasoning = linesOf([first.reasoning ?? '', second.reasoning ?? '']);
  const toolCalls = [...(first.toolCalls ?? []), ...(second.toolCalls ?? [])];
  return {
    role: first.role,
    content: linesOf([first.content, second.content]),
    ...(reasoning !== '' && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
  };
}

/** The text that the answer continues. */
function answerStartOf({ content }: AnthropicMessage, at: number): string {
  if (typeof content === 'string') return content;
  const other = content.findIndex(({ type }) => type !== 'text' && BLOCK_TYPES.has(type));
  if (other < 0) return textsIn(content, `messages[${at}].content`);
  const field = `messages[${at}].content[${other}]`;
  const message = `${field} must be of the type text: the last message is the beginning of the answer, and that has text only`;
  throw invalidField(field, 'type', message);
}

/**
 * Converts one message: first its results of calls, each as a message of its own, then the rest.
 * @param names receives the names of the calls by their ids
 */
function messagesOf({ role, content }: AnthropicMessage, field: string, names: Map<string, string>): ChatMessage[] {
  if (typeof content === 'string') return [{ role, content }];
  const parts = new Parts(role, names);
  for (const [at, block] of content.entries()) parts.add(block, `${field}.content[${at}]`);
  return parts.messages();
}

/** The parts of one message. */
class Parts {
  readonly #role: AnthropicMessage['role'];
  readonly #names: Map<string, string>;
  readonly #texts: string[] = [];
  readonly #thoughts: string[] = [];
  readonly #calls: ToolCall[] = [];
  readonly #results: ChatMessage[] = [];

  constructor(role: AnthropicMessage['role'], names: Map<string, string>) {
    this.#role = role;
    this.#names = names;
  }

  add(block: AnthropicBlock, field: string): void {
    switch (block.type) {
      case 'text':
        this.#texts.push(needed(block, 'text', field));
        break;
      case 'tool_use':
        this.#require('assistant', block, field);
        this.#addCall(block, field);
        break;
      case 'tool_result':
        this.#require('user', block, field);
        this.#addResult(block, field);
        break;
      case 'thinking':
        this.#require('assistant', block, field);
        this.#thoughts.push(needed(block, 'thinking', field));
        break;
      case 'redacted_thinking':
        this.#require('assistant', block, field);
    }
  }

  /** A message without a block becomes one with an empty text. One that has only results becomes these. */
  messages(): ChatMessage[] {
    const only = this.#results.length > 0 && this.#texts.length === 0;
    if (only) return this.#results;
    const message: ChatMessage = {
      role: this.#role,
      content: linesOf(this.#texts),
      ...(this.#thoughts.length > 0 && { reasoning: linesOf(this.#thoughts) }),
      ...(this.#calls.length > 0 && { toolCalls: this.#calls }),
    };
    return [...this.#results, message];
  }

  #require(role: AnthropicMessage['role'], { type }: AnthropicBlock, field: string): void {
    if (this.#role === role) return;
    const message = `${field} is of the type ${type}, which only a message of the role ${role} can have`;
    throw invalidField(field, 'role', message);
  }

  #addCall(block: AnthropicBlock, field: string): void {
    const id = needed(block, 'id', field);
    const name = needed(block, 'name', field);
    this.#names.set(id, name);
    this.#calls.push({ id, name, arguments: JSON.stringify(block.input ?? {}) });
  }

  #addResult(block: AnthropicBlock, field: string): void {
    const id = needed(block, 'tool_use_id', field);
    const result = textOf(block.content ?? '', `${field}.content`);
    const name = this.#names.get(id);
    this.#results.push({
      role: 'tool',
      content: block.is_error ? FAILED + result : result,
      toolCallId: id,
      ...(name !== undefined && { name }),
    });
  }
}

/** @throws WorkerError `INVALID_REQUEST` if the block lacks the field */
function needed<N extends 'text' | 'id' | 'name' | 'tool_use_id' | 'thinking'>(
  block: { readonly [name in N]?: string | undefined },
  name: N,
  at: string,
): string {
  const value = block[name];
  if (value === undefined) throw invalidField(`${at}.${name}`, 'required', `${at}.${name} is required`);
  return value;
}

/** A block or a part, as far as its text matters. */
interface TextLike {
  readonly type: string;
  readonly text?: string | undefined;
}

const textOf = (content: string | readonly TextLike[], at: string): string =>
  typeof content === 'string' ? content : textsIn(content, at);

/** The texts of all blocks of the type text. */
const textsIn = (blocks: readonly TextLike[], at: string): string =>
  linesOf(blocks.flatMap((block, index) => (block.type === 'text' ? [needed(block, 'text', `${at}[${index}]`)] : [])));

/** Texts joined by line ends, without empty ones. */
const linesOf = (texts: readonly string[]): string => texts.filter((text) => text !== '').join('\n');
