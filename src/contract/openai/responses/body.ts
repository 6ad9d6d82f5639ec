/**
 * The body of `POST /v1/responses`. Validation, types and openapi.yaml are derived from this schema. Only the
 * code of the route imports it: a worker that does not serve the route does not pay for it.
 */
import { z } from 'zod';
import { objectWithNulls } from '../../absent.ts';
import { named } from '../../schema.ts';
import { OPENAI_LIMITS, sharedFields, text } from '../fields.ts';
import { inputField } from './input.ts';
import { toolChoiceField, toolsField } from './tools.ts';

export const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
/** Entries of `metadata`, as OpenAI limits them. */
export const METADATA_LIMITS = { entries: 16, keyChars: 64, valueChars: 512 } as const;

const ignored = (description: string) => `${description} Ignored; a narration names it`;
const refused = (description: string) => `${description} Any value is refused with 400`;
const echoed = (description: string) => `${description} Repeated in the answer, and not used`;
const tag = (description: string) =>
  z
    .string()
    .max(1024)
    .optional()
    .meta({ description: echoed(description), maxLength: 1024 });

const format = objectWithNulls({
  type: z.string().meta({
    description: '`text`. `json_object` and `json_schema` are refused with 400: the worker cannot enforce them yet',
  }),
});
const textField = objectWithNulls({
  format: format.optional().meta({ description: 'Form of the text' }),
  verbosity: z
    .string()
    .optional()
    .meta({ description: ignored('`low`, `medium` or `high`.') }),
});
const reasoningField = objectWithNulls({
  effort: z.enum(EFFORTS).optional().meta({
    description:
      'Passed to the chat template as `reasoning_effort`. `none` and `minimal` set `enable_thinking` to false',
  }),
  summary: z
    .string()
    .optional()
    .meta({ description: ignored('Wish for a summary. The answer has the reasoning itself.') }),
});

/** The fields that the other routes of OpenAI's dialect have too. */
function commonFields() {
  const { max_tokens, n, stream_options, ...common } = sharedFields();
  return common;
}

/** The fields that control the worker. */
const usedFields = () => ({
  ...commonFields(),
  input: inputField().optional(),
  instructions: text().optional().meta({ description: 'A system message before the input' }),
  max_output_tokens: z.int().min(1).optional().meta({
    description:
      'Maximum number of tokens to generate, with the reasoning. A number above the possible maximum is reduced',
  }),
  tools: toolsField().optional(),
  tool_choice: toolChoiceField().optional(),
  parallel_tool_calls: z
    .boolean()
    .optional()
    .meta({ description: 'false: the output ends after its first call. Default: true' }),
  reasoning: reasoningField.optional().meta({ description: 'Control of the reasoning' }),
  text: textField.optional().meta({ description: 'Control of the text' }),
  top_logprobs: z
    .int()
    .min(0)
    .max(OPENAI_LIMITS.topLogprobs)
    .optional()
    .meta({ description: 'Report the log-probability of each token of the text, and of this many alternatives' }),
  include: z.array(z.string()).max(32).optional().meta({
    description:
      '`message.output_text.logprobs` reports log-probabilities. Other values are ignored; a narration names them',
  }),
});

const metadata = z
  .record(z.string().max(METADATA_LIMITS.keyChars), z.string().max(METADATA_LIMITS.valueChars))
  .refine((given) => Object.keys(given).length <= METADATA_LIMITS.entries, {
    params: { constraint: 'max_entries' },
    message: `an object of at most ${METADATA_LIMITS.entries} entries`,
  });

/** The fields that clients send, and that control nothing here. */
const otherFields = () => ({
  store: z
    .boolean()
    .optional()
    .meta({ description: ignored('The worker stores no answers: `store` of the answer is always false.') }),
  previous_response_id: z
    .string()
    .optional()
    .meta({ description: refused('The worker stores no answers: send the conversation in `input`.') }),
  conversation: z
    .unknown()
    .optional()
    .meta({ description: refused('The worker stores no conversations.') }),
  prompt: z
    .unknown()
    .optional()
    .meta({ description: refused('The worker stores no prompts.') }),
  background: z.boolean().optional().meta({ description: 'true is refused with 400: the worker stores no answers' }),
  truncation: z.enum(['auto', 'disabled']).optional().meta({
    description: 'A conversation that does not fit is always refused with 400. `auto` is ignored; a narration names it',
  }),
  max_tool_calls: z
    .int()
    .optional()
    .meta({ description: ignored('It limits tools that the server runs; this worker runs none.') }),
  service_tier: z
    .string()
    .optional()
    .meta({ description: ignored('Only `default` exists.') }),
  stream_options: z.object({ include_obfuscation: z.boolean().nullish() }).optional().meta({
    description: 'The worker never sends obfuscation: `include_obfuscation: true` is ignored, and a narration names it',
  }),
  client_metadata: z
    .unknown()
    .optional()
    .meta({ description: ignored('Sent by Codex.') }),
  metadata: metadata.optional().meta({ description: echoed('Up to 16 texts with names.') }),
  user: tag('Name of the end user.'),
  safety_identifier: tag('Name of the end user.'),
  prompt_cache_key: tag('The worker finds common prefixes without it.'),
});

const fields = { ...usedFields(), ...otherFields() };

export const ResponsesBody = named('ResponsesRequest', objectWithNulls(fields));
/** A valid body, without the fields that are null. */
export type ResponsesRequest = z.output<typeof ResponsesBody>;
/** Names of all fields. */
export const RESPONSES_FIELDS: ReadonlySet<string> = new Set(Object.keys(fields));
