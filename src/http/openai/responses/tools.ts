/** The tools of a request to `/v1/responses`, and the choice among them. Pure. */
import type { Tool, ToolChoice } from '../../../contract/openai/responses/tools.ts';
import type { FunctionTool, Json } from '../../../text/template/conversation.ts';
import type { ToolUse } from '../../../text/tools/tool-use.ts';
import { invalidField } from '../../dialect/check.ts';
import { shownText } from '../../validate.ts';

/** The tools that the model is offered, and the names of skipped tools. */
export interface ReadTools {
  readonly tools: readonly FunctionTool[];
  /** Places of their schemas in the body. */
  readonly fields: readonly string[];
  readonly choice: ToolUse['choice'];
  readonly ignored: readonly string[];
}

/**
 * The functions among the tools. Tools of other types, such as `web_search`, would run in the server: they
 * are skipped.
 * @throws WorkerError `INVALID_REQUEST` for a choice that no function can satisfy
 */
export function readTools(given: readonly Tool[], choice: ToolChoice = 'auto'): ReadTools {
  const tools: FunctionTool[] = [];
  const places = new Map<FunctionTool, string>();
  const ignored: string[] = [];
  for (const [index, tool] of given.entries()) {
    if (tool.type === 'unknown') ignored.push(`tools[${index}] (${shownText(tool.name)})`);
    else {
      const made = functionOf(tool);
      tools.push(made);
      places.set(made, `tools[${index}].parameters`);
    }
  }
  const read = (offered: readonly FunctionTool[], used: ReadTools['choice']): ReadTools => ({
    tools: offered,
    fields: offered.map((tool) => places.get(tool) ?? ''),
    choice: used,
    ignored,
  });
  if (typeof choice === 'string') return read(requireTools(tools, choice), choice);
  switch (choice.type) {
    case 'unknown':
      throw invalidField(
        'tool_choice',
        'unsupported',
        `tool_choice must not be of type ${shownText(choice.name)}: this worker calls functions only`,
      );
    case 'function':
      if (!tools.some(({ name }) => name === choice.name))
        throw invalidField('tool_choice.name', 'enum', 'tool_choice.name must be the name of a function of tools');
      return read(tools, { name: choice.name });
    case 'allowed_tools': {
      const names = new Set(
        choice.tools.flatMap(({ type, name }) => (type === 'function' && name !== undefined ? [name] : [])),
      );
      const allowed = tools.filter(({ name }) => names.has(name));
      return read(requireTools(allowed, choice.mode), choice.mode);
    }
  }
}

function requireTools(tools: readonly FunctionTool[], choice: 'none' | 'auto' | 'required'): readonly FunctionTool[] {
  if (choice !== 'required' || tools.length > 0) return tools;
  throw invalidField(
    'tool_choice',
    'no_tools',
    'tool_choice required must have a function in tools that the model can call',
  );
}

const functionOf = ({ name, description, parameters, strict }: Exclude<Tool, { type: 'unknown' }>): FunctionTool => ({
  name,
  description,
  // The body was parsed from JSON.
  parameters: parameters as FunctionTool['parameters'] & { readonly [name: string]: Json },
  strict,
});
