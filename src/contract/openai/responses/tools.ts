/**
 * The fields `tools` and `tool_choice` of `POST /v1/responses`. Tools of a type that the worker does not know
 * are valid here: the parser of the route skips them.
 */
import { z } from 'zod';
import { objectWithNulls } from '../../absent.ts';
import { named, text } from '../../schema.ts';
import { chosenForm, NO_TYPE, otherForm, typeOf, UNKNOWN, type Unknown } from '../chosen-form.ts';
import { OPENAI_LIMITS } from '../fields.ts';

const { tools: MAX_TOOLS } = OPENAI_LIMITS;

const FunctionToolSchema = named(
  'ResponsesFunctionTool',
  objectWithNulls({
    type: z.literal('function').meta({ description: 'A function of the client' }),
    name: text()
      .min(1)
      .max(OPENAI_LIMITS.nameChars)
      .meta({ description: `Name of the function: 1 to ${OPENAI_LIMITS.nameChars} characters` }),
    description: text().optional().meta({ description: 'Purpose of the function, for the model' }),
    parameters: z
      .record(z.string(), z.unknown())
      .optional()
      .meta({ description: 'JSON Schema of the arguments, which is an object' }),
    strict: z.boolean().optional().meta({ description: 'true: the arguments of every call match `parameters`' }),
  }),
);
export type Tool = z.output<typeof FunctionToolSchema> | Unknown;
const tool = chosenForm<Tool>(
  (value) => {
    const type = typeOf(value);
    if (type === undefined) return NO_TYPE as never;
    return type === 'function' ? FunctionToolSchema : UNKNOWN;
  },
  ['ResponsesFunctionTool', otherForm('Tools of other types are skipped, and a narration names them')],
  'A tool that the model may call',
);
export const toolsField = () => z.array(tool).max(MAX_TOOLS).meta({ description: 'The tools that the model may call' });

const NamedChoice = named(
  'ResponsesToolChoiceFunction',
  objectWithNulls({
    type: z.literal('function').meta({ description: 'The model must call this function' }),
    name: z.string().meta({ description: 'Name of a function of `tools`' }),
  }),
);
const AllowedChoice = named(
  'ResponsesToolChoiceAllowed',
  objectWithNulls({
    type: z.literal('allowed_tools').meta({ description: 'The model is offered only some of the tools' }),
    mode: z.enum(['auto', 'required']).meta({ description: 'As the text forms of `tool_choice`' }),
    tools: z
      .array(
        objectWithNulls({
          type: z.string().meta({ description: '`function`' }),
          name: z.string().optional().meta({ description: 'Name of a function of `tools`' }),
        }),
      )
      .max(MAX_TOOLS)
      .meta({ description: 'Functions of `tools`, by `name`. Other types are skipped' }),
  }),
);
const MODES = ['none', 'auto', 'required'] as const;
const CHOICE_RULE = 'none, auto, required, {type: function, name}, or {type: allowed_tools, mode, tools}';
export type ToolChoice =
  | (typeof MODES)[number]
  | z.output<typeof NamedChoice>
  | z.output<typeof AllowedChoice>
  | Unknown;
export const toolChoiceField = () =>
  chosenForm<ToolChoice>(
    (value) => {
      const type = typeOf(value);
      if (type === undefined) return z.enum(MODES, { error: CHOICE_RULE });
      if (type === 'function') return NamedChoice;
      return type === 'allowed_tools' ? AllowedChoice : UNKNOWN;
    },
    [{ type: 'string', enum: [...MODES] }, 'ResponsesToolChoiceFunction', 'ResponsesToolChoiceAllowed'],
    'Which tools the model calls. Default: `auto`. A tool of another type than `function` is refused with 400',
  );
