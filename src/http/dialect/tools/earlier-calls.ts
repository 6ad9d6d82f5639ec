/** The tool calls in the messages of a request: for chat completions and for `POST /execute`. Pure. */
import type { z } from 'zod';
import type { toolCall } from '../../../contract/tools/fields.ts';
import type { ToolCall } from '../../../text/template/conversation.ts';
import { invalidField } from '../check.ts';

/** The fields of a message that decide its calls. */
interface CallingMessage {
  readonly role: string;
  readonly tool_calls?: readonly z.output<ReturnType<typeof toolCall>>[] | null | undefined;
}

/**
 * The calls of a message in the neutral form.
 * @param path path of the message in the body
 * @throws WorkerError `INVALID_REQUEST` for calls in a message of another role than `assistant`
 */
export function callsOf({ role, tool_calls: calls }: CallingMessage, path: string): ToolCall[] {
  if (!calls || calls.length === 0) return [];
  if (role !== 'assistant') {
    const message = `${path}.tool_calls must be in a message of the role assistant`;
    throw invalidField(`${path}.tool_calls`, 'role', message);
  }
  return calls.map(({ id = '', function: { name, arguments: text } }) => ({ id, name, arguments: text }));
}
