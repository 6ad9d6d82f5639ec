/**
 * The bodies of `POST /tokenize` and `POST /detokenize`, which have the form of vLLM's. Loaded with the first
 * request of these routes.
 */
import { z } from 'zod';
import { objectWithNulls } from '../absent.ts';
import { named } from '../schema.ts';

/** Most ids of `POST /detokenize`: the values that a body may have (http/body/json-body.ts). */
export const MAX_IDS = 65_536;
/** Longest name of a role or of a tool, in UTF-16 units. */
const MAX_NAME = 128;

const text = () =>
  z.string().refine((given) => given.isWellFormed(), {
    params: { constraint: 'unicode' },
    message: 'well-formed Unicode, without half of a surrogate pair such as \\ud800',
  });
const object = (description: string) => z.record(z.string(), z.unknown()).optional().meta({ description });

const TextPart = objectWithNulls({
  type: z.enum(['text']).meta({ description: 'Kind of the part' }),
  text: text().meta({ description: 'Text of the part' }),
});
const Call = objectWithNulls({
  id: text().optional().meta({ description: 'Id of the call' }),
  function: objectWithNulls({
    name: text().min(1).max(MAX_NAME).meta({ description: 'Name of the function' }),
    arguments: text().meta({ description: 'Arguments as JSON text' }),
  }).meta({ description: 'The function' }),
});
const Message = objectWithNulls({
  role: text().min(1).max(MAX_NAME).meta({ description: 'Author of the message' }),
  content: z
    .union([text(), z.array(TextPart)])
    .optional()
    .meta({ description: 'Text of the message, or its parts' }),
  reasoning_content: text().optional().meta({ description: 'Reasoning of an assistant' }),
  tool_calls: z.array(Call).optional().meta({ description: 'Calls of an assistant' }),
  tool_call_id: text().optional().meta({ description: 'Id of the call that a message of the role `tool` answers' }),
  name: text().max(MAX_NAME).optional().meta({ description: 'Name of the author or of the function' }),
});
export type TokenizeMessage = z.output<typeof Message>;

const Tool = objectWithNulls({
  type: z.enum(['function']).meta({ description: 'Kind of the tool' }),
  function: objectWithNulls({
    name: text().min(1).max(MAX_NAME).meta({ description: 'Name of the function' }),
    description: text().optional().meta({ description: 'Purpose of the function' }),
    parameters: object('JSON Schema of the arguments'),
  }).meta({ description: 'The function' }),
});

const TOKENIZE = {
  model: z.string().optional().meta({ description: 'Any name is accepted: the worker has one model' }),
  prompt: text().optional().meta({ description: 'A text. Either `prompt` or `messages`' }),
  messages: z.array(Message).min(1).optional().meta({
    description: "A conversation, rendered with the model's chat template",
  }),
  add_special_tokens: z
    .boolean()
    .optional()
    .meta({
      description:
        'Adds the special tokens of the tokenizer, such as one at the beginning. Default: true for a prompt, false for messages, ' +
        'whose template writes them',
    }),
  add_generation_prompt: z.boolean().optional().meta({
    description: 'With messages. true, the default: the ids end where the answer begins. false is refused',
  }),
  tools: z.array(Tool).optional().meta({ description: 'With messages. Functions that the template lists' }),
  chat_template_kwargs: object('With messages. Variables of the template'),
  return_token_strs: z.boolean().optional().meta({ description: 'true: the answer has `token_strs`' }),
};
/** Names of all fields of `POST /tokenize`. */
export const TOKENIZE_FIELDS: ReadonlySet<string> = new Set(Object.keys(TOKENIZE));
export const TokenizeBody = named(
  'TokenizeRequest',
  objectWithNulls(TOKENIZE).meta({
    oneOf: [
      { required: ['prompt'], properties: { prompt: { type: 'string' } } },
      { required: ['messages'], properties: { messages: { type: 'array' } } },
    ],
    description: 'A text or a conversation. A field that is null counts as absent. Unknown fields are ignored.',
  }),
);
export type TokenizeRequest = z.output<typeof TokenizeBody>;

const DETOKENIZE = {
  model: TOKENIZE.model,
  tokens: z
    .array(z.int().min(0))
    .max(MAX_IDS)
    .meta({
      description: `Up to ${MAX_IDS} ids of tokens of the vocabulary`,
      items: { type: 'integer', minimum: 0 },
    }),
};
/** Names of all fields of `POST /detokenize`. */
export const DETOKENIZE_FIELDS: ReadonlySet<string> = new Set(Object.keys(DETOKENIZE));
export const DetokenizeBody = named('DetokenizeRequest', objectWithNulls(DETOKENIZE));
