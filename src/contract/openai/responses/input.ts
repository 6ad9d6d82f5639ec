/**
 * The field `input` of `POST /v1/responses`. Items and parts of a type that the worker does not know are
 * valid here: the parser of the route decides to skip or to refuse them.
 */
import { z } from 'zod';
import { objectWithNulls } from '../../absent.ts';
import { named, text } from '../../schema.ts';
import { chosenForm, listOf, NO_TYPE, otherForm, typeOf, UNKNOWN, type Unknown } from '../chosen-form.ts';
import { OPENAI_LIMITS } from '../fields.ts';

/** Items of the input. An agent adds three for each call: its reasoning, the call and the result. */
export const MAX_INPUT_ITEMS = 4096;
const { parts: MAX_PARTS } = OPENAI_LIMITS;

const TEXT_TYPES = ['input_text', 'output_text', 'text', 'summary_text', 'reasoning_text'] as const;

/** A field of an answer, which clients send back with it. */
const answered = (description: string) =>
  z
    .unknown()
    .optional()
    .meta({ description: `Not used. ${description}` });

const TextPart = named(
  'ResponsesTextPart',
  objectWithNulls({
    type: z.enum(TEXT_TYPES).meta({ description: 'All of these are text' }),
    text: text().meta({ description: 'The text' }),
    annotations: answered('Annotations of an earlier answer'),
    logprobs: answered('Log-probabilities of an earlier answer'),
  }),
);
const RefusalPart = named(
  'ResponsesRefusalPart',
  objectWithNulls({
    type: z.literal('refusal').meta({ description: 'An answer in which the model refused; it counts as text' }),
    refusal: text().meta({ description: 'The text' }),
  }),
);
const TEXT_TYPE_SET: ReadonlySet<string> = new Set(TEXT_TYPES);

const part = named(
  'ResponsesPart',
  chosenForm<z.output<typeof TextPart> | z.output<typeof RefusalPart> | Unknown>(
    (value) => {
      const type = typeOf(value);
      if (type === undefined) return NO_TYPE as never;
      if (type === 'refusal') return RefusalPart;
      return TEXT_TYPE_SET.has(type) ? TextPart : UNKNOWN;
    },
    ['ResponsesTextPart', 'ResponsesRefusalPart', otherForm('Images, audio and files are refused with 400')],
    'One part of a content',
  ),
);
const parts = z.array(part).max(MAX_PARTS);
export type Part = z.output<typeof part>;
/** A text, or its parts. */
export type Content = string | readonly Part[];

const content = (description: string) =>
  chosenForm<Content>(
    (value) => (Array.isArray(value) ? parts : text('a text or an array of parts with a type')),
    [{ type: 'string' }, { type: 'array', maxItems: MAX_PARTS, items: { $ref: '#/components/schemas/ResponsesPart' } }],
    description,
  );

const ANSWERED = {
  id: z.string().optional().meta({ description: 'Not used: the worker stores nothing' }),
  status: answered('State of the item in an earlier answer'),
};
const Message = named(
  'ResponsesMessageItem',
  objectWithNulls({
    type: z.enum(['message']).optional().meta({ description: 'May be absent' }),
    ...ANSWERED,
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
    ...ANSWERED,
    call_id: text().meta({ description: 'Id of the call' }),
    name: text().meta({ description: 'Name of the function' }),
    arguments: text().meta({ description: 'Arguments as JSON text' }),
  }),
);
const FunctionCallOutput = named(
  'ResponsesFunctionCallOutputItem',
  objectWithNulls({
    type: z.literal('function_call_output').meta({ description: 'The result of a call' }),
    ...ANSWERED,
    call_id: text().meta({ description: 'Id of the call' }),
    output: content('The result as text, or as parts of text'),
  }),
);
const Reasoning = named(
  'ResponsesReasoningItem',
  objectWithNulls({
    type: z.literal('reasoning').meta({ description: 'Reasoning of the model before an earlier answer' }),
    ...ANSWERED,
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
      otherForm('Items of other types are skipped, and a narration names them'),
    ],
    'One item of the conversation',
  ),
);
const items = listOf(item, MAX_INPUT_ITEMS);

/** A text is one message of the user. */
export const inputField = () =>
  chosenForm<string | readonly Item[]>(
    (value) => (Array.isArray(value) ? items : text('a text or an array of items')),
    [
      { type: 'string' },
      { type: 'array', maxItems: MAX_INPUT_ITEMS, items: { $ref: '#/components/schemas/ResponsesItem' } },
    ],
    'The conversation: a text, which is one message of the user, or items in order. An empty input is one empty message of the user',
  );
