/**
 * Tools, calls and results as texts, for templates that write none of them: the generic format, and calls in
 * the format of a family whose template shows no calls. Pure.
 */
import {
  argumentsText,
  type ChatMessage,
  type FunctionTool,
  type Json,
  type ToolCall,
} from '../template/conversation.ts';
import { jsonObjectOf } from './json-object.ts';
import type { CallFormat, OutputProfile } from './output-profile.ts';

/** Describes the tools and the generic format to a model whose template has no tools. */
export function genericToolText(tools: readonly FunctionTool[]): string {
  return [
    'You can call functions. These are the functions, one JSON object on each line:',
    ...tools.map((tool) => JSON.stringify(declarationOf(tool))),
    'To call functions, answer with one JSON object and nothing else:',
    '{"tool_calls": [{"name": "<name of the function>", "arguments": {"<name of an argument>": <value>}}]}',
    'If no function helps, answer in plain text.',
  ].join('\n');
}

/** The tools as a part of the system message, as Phi-4-mini reads them. */
export const systemToolText = (tools: readonly FunctionTool[]): string =>
  `<|tool|>${JSON.stringify(tools.map(declarationOf))}<|/tool|>`;

const declarationOf = ({ name, description = '', parameters }: FunctionTool) => ({
  name,
  description,
  parameters: parameters ?? { type: 'object', properties: {} },
});

/**
 * The messages with all calls, and all results, that the template does not write as texts of the assistant
 * and of the user. Neighbours of the same role become one message: many of these templates want the roles
 * to take turns.
 */
export function withWrittenCalls(messages: readonly ChatMessage[], profile: OutputProfile): ChatMessage[] {
  const { writesCalls, writesResults, calls: format } = profile;
  const written: ChatMessage[] = [];
  const names = new Map(messages.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id, name }) => [id, name])));
  let changed = false;
  for (const message of messages) {
    const { toolCalls = [], toolCallId = '' } = message;
    if (toolCalls.length > 0 && !writesCalls) {
      const { toolCalls: _, ...rest } = message;
      const calls = callsText(format, toolCalls);
      written.push({ ...rest, content: message.content === '' ? calls : `${message.content}\n${calls}` });
      changed = true;
    } else if (message.role === 'tool' && !writesResults) {
      const name = message.name ?? names.get(toolCallId) ?? toolCallId;
      written.push({ role: 'user', content: `Result of ${name}:\n${message.content}` });
      changed = true;
    } else written.push(message);
  }
  return changed ? joined(written) : written;
}

/** Joins neighbours of the role user or assistant. */
function joined(messages: readonly ChatMessage[]): ChatMessage[] {
  const result: ChatMessage[] = [];
  for (const message of messages) {
    const last = result.at(-1);
    const joins = last?.role === message.role && ['user', 'assistant'].includes(message.role);
    if (last && joins && !last.toolCalls && !message.toolCalls)
      result[result.length - 1] = { ...last, content: `${last.content}\n\n${message.content}` };
    else result.push(message);
  }
  return result;
}

function callsText(format: CallFormat, calls: readonly ToolCall[]): string {
  const texts = calls.map((call) => callText(format, call));
  if (format.style === 'json' && format.wrapper !== undefined)
    return `{${JSON.stringify(format.wrapper)}: [${texts.join(', ')}]}`;
  const { sectionOpen, sectionClose, callOpen, callClose, list } = format;
  if (list) return `${sectionOpen}[${texts.join(', ')}]${sectionClose}`;
  const marked = texts.map((text) => (callOpen === '' ? text : `${callOpen}\n${text}\n${callClose}`));
  return `${sectionOpen}${marked.join('\n')}${sectionClose}`;
}

function callText(format: CallFormat, call: ToolCall): string {
  const { name } = call;
  const text = argumentsText(call);
  if (format.style !== 'pythonic') return `{"name": ${JSON.stringify(name)}, "arguments": ${text}}`;
  const values = Object.entries(jsonObjectOf(text) ?? {}).map(([key, value]) => `${key}=${literal(value)}`);
  return `${name}(${values.join(', ')})`;
}

/** A literal of Python. */
function literal(value: Json): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => `${JSON.stringify(key)}: ${literal(inner)}`)
    .join(', ')}}`;
}
