/**
 * The body of `POST /v1/responses`. Validation, types and openapi.yaml are derived from this schema. Only the
 * code of the route imports it: a worker that does not serve the route does not pay for it.
 */
import { z } from 'zod';
import { objectWithNulls } from '../../absent.ts';
import { named, text } from '../../schema.ts';
import { FORMS } from '../chosen-form.ts';
import { MAXIMUM_RULE, maximum, OPENAI_LIMITS, sharedFields } from '../fields.ts';
import { guidedFields, textFormatField } from '../format-fields.ts';
import { inputField } from './input.ts';
import { toolChoiceField, toolsField } from './tools.ts';

/** A field that is accepted with any value. */
const without = (description: string) =>
  z
    .unknown()
    .optional()
    .meta({ description: `${description} Ignored with any value; a narration names it` });
const refused = (description: string) => `${description} Any value is refused with 400`;
const tag = (description: string) =>
  z
    .unknown()
    .optional()
    .meta({
      description: `${description} A text is repeated in the answer, and not used. Any other value is ignored; a narration names it`,
    });

const textField = objectWithNulls({
  format: textFormatField().optional(),
  verbosity: without('`low`, `medium` or `high`.'),
});
const reasoningField = objectWithNulls({
  effort: z.string().min(1).max(64).optional().meta({
    description:
      'Passed to the chat template as `reasoning_effort`, such as `low`. `none` and `minimal` set `enable_thinking` to false',
  }),
  summary: without('Wish for a summary. The answer has the reasoning itself.'),
});

/** Known fields of `stream_options`. The parser reads them. */
const streamOptions = z.object({ include_obfuscation: z.unknown() });

/** The fields that the other routes of OpenAI's dialect have too. */
function commonFields() {
  const { max_tokens, n, stream_options, ...common } = sharedFields();
  return common;
}

/** The fields that control the worker. */
const usedFields = () => ({
  ...commonFields(),
  ...guidedFields(),
  input: inputField().optional(),
  instructions: text().optional().meta({ description: 'A system message before the input' }),
  max_output_tokens: maximum()
    .optional()
    .meta({ description: `Maximum number of tokens to generate, with the reasoning. ${MAXIMUM_RULE}` }),
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
  include: z
    .unknown()
    .optional()
    .meta({
      description:
        '`message.output_text.logprobs` reports log-probabilities. Other values are ignored; a narration names them',
      type: 'array',
      items: { type: 'string' },
    }),
});

/** The fields that clients send, and that control nothing here. */
const otherFields = () => ({
  store: without('The worker stores no answers: `store` of the answer is always false.'),
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
  truncation: z.unknown().optional().meta({
    description:
      'A conversation that does not fit is always refused with 400, as with `disabled`. Any other value is ignored; a narration names it',
  }),
  max_tool_calls: without('It limits tools that the server runs; this worker runs none.'),
  service_tier: without('Only `default` exists.'),
  stream_options: z
    .unknown()
    .optional()
    .meta({
      description:
        'The worker never sends obfuscation: `include_obfuscation: true` is ignored, and a narration names it. Other fields are ignored too',
    })
    .register(FORMS, { choose: () => streamOptions }),
  client_metadata: without('Sent by Codex.'),
  metadata: z.unknown().optional().meta({
    description:
      'Texts with names. They are repeated in the answer, and not used. Other values are left out; a narration names the field',
    type: 'object',
    additionalProperties: true,
  }),
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
