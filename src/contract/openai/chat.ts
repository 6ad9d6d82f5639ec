/** The body of `POST /v1/chat/completions`. Only the routes of OpenAI's dialect load this file. */
import { z } from 'zod';
import { objectWithNulls, withoutNulls } from '../absent.ts';
import { FIXED_LIMITS } from '../execute.ts';
import { named, text } from '../schema.ts';
import { reasoningFields, toolCall, toolFields } from '../tools/fields.ts';
import { ignoredFields, maximum, OPENAI_LIMITS, sharedFields } from './fields.ts';
import { formatFields } from './format-fields.ts';

/** Loose: a part of another type is refused with its type, and not for its fields. */
const part = z.preprocess(
  withoutNulls,
  z.looseObject({
    type: z.string().meta({
      description:
        '`text`, `input_text`, `output_text` or `refusal`. Any other type, such as `image_url`, is refused by name',
    }),
    text: text().optional().meta({ description: 'Text of a part, except for the type `refusal`' }),
    refusal: text().optional().meta({ description: 'Text of a part of the type `refusal`' }),
  }),
);

const MESSAGE_FIELDS = {
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']).meta({
    description: 'Author of the message. `developer` is the same as `system`',
  }),
  content: z
    .union([text(), z.array(part).max(OPENAI_LIMITS.parts)], { error: 'a text or an array of parts with a type' })
    .optional()
    .meta({ description: 'Text, or parts whose texts are joined. Only a message of the assistant may lack it' }),
  name: text().optional().meta({ description: 'Name of the author, or of the function that a tool message answers' }),
  tool_calls: z.array(toolCall()).max(OPENAI_LIMITS.calls).optional().meta({ description: 'Calls of the assistant' }),
  tool_call_id: text().optional().meta({ description: 'Id of the call that a message of the role `tool` answers' }),
  reasoning_content: text().optional().meta({ description: 'Reasoning of the assistant before this answer' }),
  reasoning: text().optional().meta({ description: 'Another name of `reasoning_content`' }),
  refusal: text().optional().meta({ description: 'Text of the assistant in place of `content`' }),
};

/** Loose: the parser refuses `function_call` and `audio` by name. */
const message = z.looseObject(
  Object.fromEntries(
    Object.entries(MESSAGE_FIELDS).map(([name, field]) => [name, name === 'role' ? field : field.nullish()]),
  ),
) as unknown as z.ZodType<Message>;

type Nullable<T> = { readonly [N in keyof T]: T[N] | null };
type Fields = typeof MESSAGE_FIELDS;
/** A message as a client sends it: fields may be null, and there may be others. */
export type Message = { readonly role: z.output<Fields['role']> } & Nullable<{
  readonly [N in Exclude<keyof Fields, 'role'>]?: z.output<Fields[N]>;
}>;
export type Part = z.output<typeof part>;

/** Fields with an effect. */
export const chatFields = () => ({
  messages: z
    .array(message)
    .min(1)
    .max(OPENAI_LIMITS.messages)
    .meta({ description: "The conversation, rendered with the model's chat template" }),
  ...sharedFields(),
  ...formatFields(),
  max_completion_tokens: maximum().optional().meta({
    description: 'The same as `max_tokens`, and has priority over it',
  }),
  logprobs: z.boolean().optional().meta({ description: 'true: report the log-probability of each token' }),
  top_logprobs: z.int().min(0).max(OPENAI_LIMITS.topLogprobs).optional().meta({
    description: 'Also report this many alternatives at each position; requires `logprobs: true`',
  }),
  ...toolFields(),
  ...reasoningFields(),
  chat_template_kwargs: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: 'Variables of the chat template; they win over the two fields above. Extension of vLLM' }),
  template: z.string().min(1).max(FIXED_LIMITS.templateChars).optional().meta({
    description:
      "Name of the chat template, if the model has several. Default: the model's default template. Extension of this worker",
  }),
  modalities: z.array(z.string()).max(8).optional().meta({ description: '`["text"]`. Any other value is refused' }),
});

const CHAT_IGNORED = ignoredFields(['verbosity', 'prediction', 'prompt_cache_retention', 'web_search_options']);

/** Names of the fields with an effect; any other field is listed as ignored. */
export const CHAT_NAMES: ReadonlySet<string> = new Set(Object.keys(chatFields()));

export const ChatBody = named(
  'ChatCompletionRequest',
  objectWithNulls({ ...chatFields(), ...CHAT_IGNORED }).meta({
    description:
      'A conversation. A field that is null counts as absent. Unknown fields are ignored, and a narration lists them.',
  }),
);
export type ChatRequest = z.output<typeof ChatBody>;
