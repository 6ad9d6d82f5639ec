/**
 * The messages of `POST /execute`. A worker loads this file at its start, so the schemas are made at their
 * first use.
 */
import { z } from 'zod';
import { objectWithNulls } from '../absent.ts';
import { listOf } from '../openai/chosen-form.ts';
import { text } from '../schema.ts';
import { TOOL_LIMITS, toolCall } from './fields.ts';

const ROLES = ['system', 'user', 'assistant', 'tool'] as const;
/** The roles as an error lists them. */
export const ROLE_RULE = ROLES.join('|');

/** One message of a conversation. Its text may be absent beside tool calls. */
export const message = () =>
  objectWithNulls(messageFields(), (fields) =>
    fields.refine(hasContent, { path: ['content'], when: () => true, params: { constraint: 'required' } }),
  );

const messageFields = () => ({
  role: z
    .enum(ROLES)
    .meta({ description: 'Author of the message. `tool`: the result of a call of the message before it' }),
  content: text().optional().meta({
    description: 'Text of the message. Only a message of the assistant with `tool_calls` may lack it',
  }),
  tool_calls: listOf(toolCall(), TOOL_LIMITS.calls, 1)
    .optional()
    .meta({
      type: 'array',
      maxItems: TOOL_LIMITS.calls,
      items: { $ref: '#/components/schemas/ToolCall' },
      description: 'With the role `assistant`: the tool calls of the message',
    }),
  tool_call_id: text().optional().meta({ description: 'With the role `tool`: id of the call that it answers' }),
  reasoning: text().optional().meta({ description: 'With the role `assistant`: the reasoning before this answer' }),
  reasoning_content: text().optional().meta({ description: 'Another name of `reasoning`' }),
});

export type NativeMessage = z.output<ReturnType<typeof message>>;

/** False for a message without a text that must have one. Its other fields may be invalid. */
function hasContent(given: unknown): boolean {
  if (typeof given !== 'object' || given === null) return true;
  const { role, content, tool_calls: calls } = given as Readonly<Record<string, unknown>>;
  if (content !== undefined && content !== null) return true;
  return role === 'assistant' && calls !== undefined && calls !== null && !(Array.isArray(calls) && calls.length === 0);
}
