/** Turns the messages of a chat request into a conversation. Pure. */
import type { Message, Part } from '../../../contract/openai/chat.ts';
import type { ChatMessage } from '../../../text/template/conversation.ts';
import { invalidField } from '../../dialect/check.ts';
import { callsOf } from '../../dialect/tools/earlier-calls.ts';
import { shownText } from '../../validate.ts';

/** Part types whose text is the content. */
const TEXT_PARTS: ReadonlySet<string> = new Set(['text', 'input_text', 'output_text']);

/**
 * The messages in the neutral form.
 * @throws WorkerError `INVALID_REQUEST` that names the message or the part
 */
export const messagesOf = (given: readonly Message[]): readonly ChatMessage[] =>
  given.map((message, index) => messageOf(message, `messages[${index}]`));

function messageOf(message: Message, path: string): ChatMessage {
  refuseOther(message, path);
  const { role, name, tool_call_id: toolCallId } = message;
  const toolCalls = callsOf(message, path);
  const reasoning = message.reasoning_content ?? message.reasoning ?? undefined;
  const isAssistant = role === 'assistant';
  const content = contentOf(message, path);
  if (content === undefined && !isAssistant)
    throw invalidField(`${path}.content`, 'required', `${path}.content is required`);
  return {
    role: role === 'developer' ? 'system' : role,
    content: content ?? '',
    ...(isAssistant && reasoning !== undefined && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
    ...(role === 'tool' && typeof toolCallId === 'string' && { toolCallId }),
    ...(typeof name === 'string' && { name }),
  };
}

/** Refuses fields of a message that would change its meaning. */
function refuseOther(message: Message, path: string): void {
  const { function_call: call, audio } = message as Record<string, unknown>;
  if (call !== undefined && call !== null)
    throw invalidField(
      `${path}.function_call`,
      'unsupported',
      `${path}.function_call is not supported: use tool_calls`,
    );
  if (audio !== undefined && audio !== null)
    throw invalidField(`${path}.audio`, 'unsupported', `${path}.audio is not supported: this worker reads text only`);
}

/** The text of a message; undefined without one. */
function contentOf({ content, refusal, role }: Message, path: string): string | undefined {
  if (typeof content === 'string') return content;
  if (content) return content.map((part, index) => partText(part, `${path}.content[${index}]`)).join('');
  return role === 'assistant' ? (refusal ?? undefined) : undefined;
}

function partText(part: Part, path: string): string {
  const { type } = part;
  const [name, text] = type === 'refusal' ? ['refusal', part.refusal] : ['text', part.text];
  if (type !== 'refusal' && !TEXT_PARTS.has(type)) {
    const message = `${path} must be text: this worker does not read parts of the type ${JSON.stringify(shownText(type))}`;
    throw invalidField(path, 'unsupported', message);
  }
  if (text === undefined) throw invalidField(`${path}.${name}`, 'required', `${path}.${name} is required`);
  return text;
}
