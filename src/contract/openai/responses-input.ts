/**
 * The items of the field `input` of `POST /v1/responses`, and its tools. Items, parts and tools of a type that
 * the worker does not know are valid here: the parser of the route decides to skip or to refuse them.
 */
import { z } from 'zod';
import { objectWithNulls } from '../absent.ts';
import { named } from '../schema.ts';
import { chosenForm, typeOf, wellFormed } from './chosen-form.ts';

/** Lengths of the lists of a request. */
export const RESPONSES_LIMITS = { items: 4096, tools: 512, parts: 1024 } as const;

/** A value of a type without a schema of its own. */
export interface Unknown {
  readonly type: 'unknown';
  /** The type as the client names it. */
  readonly name: string;
}

const UNKNOWN = z.unknown().transform((value): Unknown => ({ type: 'unknown', name: typeOf(value) ?? '' }));
const OTHER = (description: string) => ({
  type: 'object',
  required: ['type'],
  properties: { type: { type: 'string' } },
  additionalProperties: true,
  description,
});
const NO_OBJECT = z.object({ type: z.string() });

const TEXT_TYPES = ['input_text', 'output_text', 'text', 'summary_text', 'reasoning_text'] as const;

const TextPart = named(
  'ResponsesTextPart',
  objectWithNulls({
    type: z.enum(TEXT_TYPES).meta({ description: 'All of these are text' }),
    text: wellFormed().meta({ description: 'The text' }),
  }),
);
const RefusalPart = named(
  'ResponsesRefusalPart',
  objectWithNulls({
    type: z.literal('refusal').meta({ description: 'An answer in which the model refused; it counts as text' }),
    refusal: wellFormed().meta({ description: 'The text' }),
  }),
);
const TEXT_TYPE_SET: ReadonlySet<string> = new Set(TEXT_TYPES);

const part = named(
  'ResponsesPart',
  chosenForm<z.output<typeof TextPart> | z.output<typeof RefusalPart> | Unknown>(
    (value) => {
      const type = typeOf(value);
      if (type === undefined) return NO_OBJECT as never;
      if (type === 'refusal') return RefusalPart;
      return TEXT_TYPE_SET.has(type) ? TextPart : UNKNOWN;
    },
    ['ResponsesTextPart', 'ResponsesRefusalPart', OTHER('Images, audio and files are refused with 400')],
    'One part of a content',
  ),
);
const parts = z.array(part).max(RESPONSES_LIMITS.parts);
export type Part = z.output<typeof part>;
/** A text, or its parts. */
export type Content = string | readonly Part[];

const content = (description: string) =>
  chosenForm<Content>(
    (value) => (Array.isArray(value) ? parts : wellFormed()),
    [
      { type: 'string' },
      { type: 'array', maxItems: RESPONSES_LIMITS.parts, items: { $ref: '#/components/schemas/ResponsesPart' } },
    ],
    description,
  );

const ID = z.string().optional().meta({ description: 'Not used: the worker stores nothing' });
const Message = named(
  'ResponsesMessageItem',
  objectWithNulls({
    type: z.literal('message').optional().meta({ description: 'May be absent' }),
    id: ID,
    role: z.enum(['system', 'developer', 'user', 'assistant']).meta({
      description: 'Author of the message; `developer` is the same as `system`',
    }),
    content: content('Text of the message, or its parts'),
  }),
);
const FunctionCall = named(
  'ResponsesFunctionCallItem',
  objectWithNulls({
    type: z.literal('function_call').meta({ description: 'A call that the model made earlier' }),
    id: ID,
    call_id: wellFormed().meta({ description: 'Id of the call' }),
    name: wellFormed().meta({ description: 'Name of the function' }),
    arguments: wellFormed().meta({ description: 'Arguments as JSON text' }),
  }),
);
const FunctionCallOutput = named(
  'ResponsesFunctionCallOutputItem',
  objectWithNulls({
    type: z.literal('function_call_output').meta({ description: 'The result of a call' }),
    id: ID,
    call_id: wellFormed().meta({ description: 'Id of the call' }),
    output: content('The result as text, or as parts of text'),
  }),
);
const Reasoning = named(
  'ResponsesReasoningItem',
  objectWithNulls({
    type: z.literal('reasoning').meta({ description: 'Reasoning of the model before an earlier answer' }),
    id: ID,
    summary: parts.optional().meta({ description: 'Used if `content` has no text' }),
    content: parts.optional().meta({ description: 'The text of the reasoning' }),
    encrypted_content: z
      .string()
      .optional()
      .meta({ description: 'Ignored: the worker does not encrypt reasoning, and cannot read that of other servers' }),
  }),
);
const Reference = named(
  'ResponsesItemReference',
  objectWithNulls({
    type: z.literal('item_reference').meta({ description: 'Refused with 400: the worker stores no items' }),
    id: z.string().meta({ description: 'Id of a stored item' }),
  }),
);

const ITEMS: Readonly<Record<string, z.ZodType<Item>>> = {
  message: Message,
  function_call: FunctionCall,
  function_call_output: FunctionCallOutput,
  reasoning: Reasoning,
  item_reference: Reference,
};

/** One item of the input. */
export type Item =
  | z.output<typeof Message>
  | z.output<typeof FunctionCall>
  | z.output<typeof FunctionCallOutput>
  | z.output<typeof Reasoning>
  | z.output<typeof Reference>
  | Unknown;

const item = named(
  'ResponsesItem',
  chosenForm<Item>(
    (value) => {
      const type = typeOf(value);
      if (type === undefined) return Message;
      return ITEMS[type] ?? UNKNOWN;
    },
    [
      'ResponsesMessageItem',
      'ResponsesFunctionCallItem',
      'ResponsesFunctionCallOutputItem',
      'ResponsesReasoningItem',
      'ResponsesItemReference',
      OTHER('Items of other types are skipped, and a narration names them'),
    ],
    'One item of the conversation',
  ),
);
const items = z.array(item).max(RESPONSES_LIMITS.items);

/** A text is one message of the user. */
export const inputField = () =>
  chosenForm<string | readonly Item[]>(
    (value) => (Array.isArray(value) ? items : wellFormed()),
    [
      { type: 'string' },
      { type: 'array', maxItems: RESPONSES_LIMITS.items, items: { $ref: '#/components/schemas/ResponsesItem' } },
    ],
    'The conversation: a text, which is one message of the user, or items in order. An empty input is one empty message of the user',
  );

const FunctionToolSchema = named(
  'ResponsesFunctionTool',
  objectWithNulls({
    type: z.literal('function').meta({ description: 'A function of the client' }),
    name: wellFormed().min(1).max(128).meta({ description: 'Name of the function: 1 to 128 characters' }),
    description: wellFormed().optional().meta({ description: 'What the function does' }),
    parameters: z
      .record(z.string(), z.unknown())
      .optional()
      .meta({ description: 'JSON Schema of the arguments, which is an object' }),
    strict: z.boolean().optional().meta({ description: 'The arguments must match the schema' }),
  }),
);
export type Tool = z.output<typeof FunctionToolSchema> | Unknown;
const tool = chosenForm<Tool>(
  (value) => {
    const type = typeOf(value);
    if (type === undefined) return NO_OBJECT as never;
    return type === 'function' ? FunctionToolSchema : UNKNOWN;
  },
  ['ResponsesFunctionTool', OTHER('Tools of other types are skipped, and a narration names them')],
  'A tool that the model may call',
);
export const toolsField = () =>
  z.array(tool).max(RESPONSES_LIMITS.tools).meta({ description: 'The tools that the model may call' });

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
      .array(z.object({ type: z.string(), name: z.string().optional() }))
      .max(RESPONSES_LIMITS.tools)
      .meta({ description: 'Functions of `tools`, by `name`. Other types are skipped' }),
  }),
);
const MODES = ['none', 'auto', 'required'] as const;
export type ToolChoice =
  | (typeof MODES)[number]
  | z.output<typeof NamedChoice>
  | z.output<typeof AllowedChoice>
  | Unknown;
export const toolChoiceField = () =>
  chosenForm<ToolChoice>(
    (value) => {
      const type = typeOf(value);
      if (type === undefined) return z.enum(MODES);
      if (type === 'function') return NamedChoice;
      return type === 'allowed_tools' ? AllowedChoice : UNKNOWN;
    },
    [{ type: 'string', enum: [...MODES] }, 'ResponsesToolChoiceFunction', 'ResponsesToolChoiceAllowed'],
    'Which tools the model calls. Default: `auto`. A tool of another type than `function` is refused with 400',
  );
