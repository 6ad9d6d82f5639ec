/**
 * Turns the tools of a request, and the choice among them, into their neutral forms: for chat completions and
 * for `POST /execute`. Pure.
 */
import { chatFunction, type ToolFields } from '../../../contract/tools/fields.ts';
import type { FunctionTool, Json } from '../../../text/template/conversation.ts';
import type { ToolUse } from '../../../text/tools/tool-use.ts';
import { shownText } from '../../validate.ts';
import { checkPart, invalidField } from '../check.ts';

/** The tools of a request. */
export interface ParsedTools {
  /** The functions that the model is offered. Empty for `tool_choice: none`. */
  readonly tools: readonly FunctionTool[];
  /** Places of their schemas in the body. */
  readonly fields: readonly string[];
  readonly toolUse: ToolUse;
  /** Tools of other types, as the narration lists them. */
  readonly ignored: readonly string[];
}

/**
 * The functions of a request, and which of them the output may call.
 * @throws WorkerError `INVALID_REQUEST` for a broken function, for two functions of one name, and for a
 *   choice that names no function of the request
 */
export function toolsOf(body: ToolFields): ParsedTools {
  const ignored: string[] = [];
  const tools: FunctionTool[] = [];
  const fields: string[] = [];
  for (const [index, tool] of (body.tools ?? []).entries()) {
    const path = `tools[${index}].function`;
    if (tool.type === 'function') {
      tools.push(functionOf(tool['function'], path, tools));
      fields.push(`${path}.parameters`);
    } else ignored.push(`tools[${index}] (${shownText(tool.type)})`);
  }
  const choice = choiceOf(body.tool_choice, tools);
  const toolUse = { choice, parallel: body.parallel_tool_calls ?? true };
  const none = choice === 'none';
  return { tools: none ? [] : tools, fields: none ? [] : fields, toolUse, ignored };
}

function functionOf(given: unknown, path: string, others: readonly FunctionTool[]): FunctionTool {
  const { parameters, ...fields } = checkPart(chatFunction(), path, given);
  if (others.some(({ name }) => name === fields.name))
    throw invalidField(`${path}.name`, 'unique', `${path}.name must differ from the names of the other functions`);
  // A value of JSON.parse has no other types.
  return { ...fields, ...(parameters && { parameters: parameters as Record<string, Json> }) };
}

function choiceOf(choice: ToolFields['tool_choice'], tools: readonly FunctionTool[]): ToolUse['choice'] {
  if (choice === undefined || choice === 'auto' || choice === 'none') return choice ?? 'auto';
  if (choice === 'required') {
    if (tools.length > 0) return choice;
    throw invalidField('tool_choice', 'tools', 'tool_choice must not be required without a function in tools');
  }
  const { name } = choice.function;
  if (tools.some((tool) => tool.name === name)) return { name };
  const shown = JSON.stringify(shownText(name));
  const message = `tool_choice.function.name must be the name of a function in tools, but is ${shown}`;
  throw invalidField('tool_choice.function.name', 'enum', message);
}
