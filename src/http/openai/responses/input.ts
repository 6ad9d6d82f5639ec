/**
 * Turns the items of a request to `/v1/responses` into the messages of a conversation. Pure.
 */
import type { Content, Item, Part } from '../../../contract/openai/responses/input.ts';
import type { ChatMessage, ToolCall } from '../../../text/template/conversation.ts';
import { invalidField } from '../../dialect/check.ts';
import { shownText } from '../../validate.ts';

/** The messages, and the names of the parts of the input that are not used. */
export interface ReadInput {
  readonly messages: readonly ChatMessage[];
  readonly ignored: readonly string[];
}

/**
 * The messages of an input. `instructions` come first, as a system message. Reasoning and calls become parts
 * of the message of the assistant that they belong to. An input without a message of a user, an assistant or
 * a tool gets an empty message of the user: clients send an empty input to see if the worker answers.
 * @throws WorkerError `INVALID_REQUEST` for a part that is no text, and for a reference to a stored item
 */
export function readInput(input: string | readonly Item[], instructions: string | undefined): ReadInput {
  const reader = new InputReader();
  if (instructions !== undefined) reader.message('system', instructions);
  if (typeof input === 'string') reader.message('user', input);
  else for (const [index, item] of input.entries()) reader.item(item, `input[${index}]`);
  return reader.finish();
}

/** The message of an assistant that the next items may belong to. */
interface Turn {
  content: string | undefined;
  reasoning: string | undefined;
  readonly toolCalls: ToolCall[];
}

class InputReader {
  readonly #messages: ChatMessage[] = [];
  readonly #ignored: string[] = [];
  /** Names of the called functions by the ids of the calls. */
  readonly #names = new Map<string, string>();
  #turn: Turn | undefined;

  message(role: string, content: string): void {
    this.#endTurn();
    this.#messages.push({ role, content });
  }

  /** @param field name of the item in errors and narrations */
  item(item: Item, field: string): void {
    switch (item.type) {
      case 'unknown':
        this.#ignored.push(`${field} (${shownText(item.name)})`);
        break;
      case 'item_reference':
        throw invalidField(
          field,
          'unsupported',
          `${field} must not be an item_reference: the worker stores no items; send the item itself, which clients do with store: false`,
        );
      case 'function_call':
        this.#call(item);
        break;
      case 'function_call_output':
        this.#output(item.call_id, textOf(item.output, `${field}.output`));
        break;
      case 'reasoning':
        this.#reasoning(item, field);
        break;
      default:
        if (item.role === 'assistant') this.#answer(textOf(item.content, `${field}.content`));
        else this.message(item.role === 'user' ? 'user' : 'system', textOf(item.content, `${field}.content`));
    }
  }

  finish(): ReadInput {
    this.#endTurn();
    const messages = this.#messages;
    if (messages.every(({ role }) => role === 'system')) messages.push({ role: 'user', content: '' });
    return { messages, ignored: this.#ignored };
  }

  /** Text after text, and text after calls, is a message of its own. */
  #answer(content: string): void {
    if (this.#turn?.content !== undefined || (this.#turn?.toolCalls.length ?? 0) > 0) this.#endTurn();
    this.#begunTurn().content = content;
  }

  #call({ call_id: id, name, arguments: text }: Extract<Item, { type: 'function_call' }>): void {
    this.#names.set(id, name);
    this.#begunTurn().toolCalls.push({ id, name, arguments: text });
  }

  #output(id: string, content: string): void {
    this.#endTurn();
    const name = this.#names.get(id);
    this.#messages.push({ role: 'tool', content, toolCallId: id, ...(name !== undefined && { name }) });
  }

  /** Reasoning precedes the answer or the calls that it belongs to. */
  #reasoning(item: Extract<Item, { type: 'reasoning' }>, field: string): void {
    if (item.encrypted_content !== undefined) this.#ignored.push(`${field}.encrypted_content`);
    const text = textOf(item.content ?? [], `${field}.content`) || textOf(item.summary ?? [], `${field}.summary`);
    if (text === '') return;
    if (this.#turn?.content !== undefined || (this.#turn?.toolCalls.length ?? 0) > 0) this.#endTurn();
    const turn = this.#begunTurn();
    turn.reasoning = (turn.reasoning ?? '') + text;
  }

  #begunTurn(): Turn {
    this.#turn ??= { content: undefined, reasoning: undefined, toolCalls: [] };
    return this.#turn;
  }

  #endTurn(): void {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = undefined;
    const { content = '', reasoning, toolCalls } = turn;
    this.#messages.push({
      role: 'assistant',
      content,
      ...(reasoning !== undefined && { reasoning }),
      ...(toolCalls.length > 0 && { toolCalls }),
    });
  }
}

/** The text of a content. @throws WorkerError `INVALID_REQUEST` for a part that is no text */
function textOf(content: Content, field: string): string {
  if (typeof content === 'string') return content;
  return content.map((part, index) => partText(part, `${field}[${index}]`)).join('');
}

function partText(part: Part, field: string): string {
  if (part.type === 'unknown')
    throw invalidField(
      field,
      'unsupported',
      `${field} must be text: this worker does not read parts of type ${shownText(part.name)}`,
    );
  return part.type === 'refusal' ? part.refusal : part.text;
}
