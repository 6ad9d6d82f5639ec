/** The tools of a request to `/v1/responses`, and the choice among them. Pure. */
import type { Tool, ToolChoice } from '../../../contract/openai/responses/tools.ts';
import type { FunctionTool, Json } from '../../../text/template/conversation.ts';
import type { ToolUse } from '../../../text/tools/tool-use.ts';
import { invalidField } from '../../dialect/check.ts';
import { shownText } from '../../validate.ts';

/** The tools that the model is offered, and the names of skipped tools. */
export interface ReadTools {
  readonly tools: readonly FunctionTool[];
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
  const ignored: string[] = [];
  for (const [index, tool] of given.entries()) {
    if (tool.type === 'unknown') ignored.push(`tools[${index}] (${shownText(tool.name)})`);
    else tools.push(functionOf(tool));
  }
  if (typeof choice === 'string') return { tools: requireTools(tools, choice), choice, ignored };
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
      return { tools, choice: { name: choice.name }, ignored };
    case 'allowed_tools': {
      const names = new Set(
        choice.tools.flatMap(({ type, name }) => (type === 'function' && name !== undefined ? [name] : [])),
      );
      const allowed = tools.filter(({ name }) => names.has(name));
      return { tools: requireTools(allowed, choice.mode), choice: choice.mode, ignored };
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
