/**
 * The bodies of `POST /tokenize` and `POST /detokenize`, which have the form of vLLM's. Loaded with the first
 * request of these routes.
 */
import { z } from 'zod';
import { objectWithNulls } from '../absent.ts';
import { chatFields } from '../openai/chat.ts';
import { named, text } from '../schema.ts';

/** Most ids of `POST /detokenize`. A body may have a few more values than that (http/body/json-body.ts). */
export const MAX_IDS = 65_000;

/** Fields that mean the same as in `POST /v1/chat/completions`. */
const { messages, tools, enable_thinking, reasoning_effort, chat_template_kwargs, template } = chatFields();

const TOKENIZE = {
  model: z.string().optional().meta({ description: 'Any name is accepted: the worker has one model' }),
  prompt: text().optional().meta({ description: 'A text. Either `prompt` or `messages`' }),
  messages: messages.optional().meta({
    description: "A conversation, rendered with the model's chat template as a chat completion renders it",
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
  tools: tools.meta({
    description:
      'With messages. Functions that the template lists. A tool of another type is skipped, and a narration lists it',
  }),
  enable_thinking,
  reasoning_effort,
  chat_template_kwargs,
  template,
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
