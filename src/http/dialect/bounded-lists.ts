/** Bounds the lists of a body before its schema reads them: the schema describes every wrong element. */
import { invalidField } from './check.ts';

/** Most messages, their parts and calls, tools and stop sequences of a body together. */
export const MAX_ELEMENTS = 2048;

/** @throws WorkerError `INVALID_REQUEST` if the lists of the body have more than `MAX_ELEMENTS` elements */
export function requireBoundedLists(body: unknown): void {
  const { messages, system, tools, stop_sequences: stops } = fieldsOf(body);
  let elements = lengthOf(system) + lengthOf(tools) + lengthOf(stops) + lengthOf(messages);
  for (const message of listOf(messages)) {
    if (elements > MAX_ELEMENTS) break;
    const { content, tool_calls: calls } = fieldsOf(message);
    elements += lengthOf(content) + lengthOf(calls);
    for (const block of listOf(content)) elements += lengthOf(fieldsOf(block)['content']);
  }
  if (elements <= MAX_ELEMENTS) return;
  const message = `messages must have at most ${MAX_ELEMENTS} elements, together with their parts and with all tools`;
  throw invalidField('messages', 'maximum', message);
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const lengthOf = (value: unknown): number => listOf(value).length;
const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
