/**
 * The bodies of `POST /execute` and `POST /cancel`. Validation, types and openapi.yaml are derived from these
 * schemas. The descriptions become the text of openapi.yaml.
 */
import { z } from 'zod';
import { objectWithNulls } from './absent.ts';
import { SAMPLING_FIELDS } from './sampling-fields.ts';
import { named } from './schema.ts';

/** Limits of a request that the operator sets. */
export interface Limits {
  /** Characters (Unicode code points) of the prompt, or of all messages together. */
  readonly promptChars: number;
  /** Maximum of `max_tokens` and `min_tokens`. */
  readonly maxTokens: number;
}
const DEFAULT_LIMITS: Limits = { promptChars: 32_768, maxTokens: 2048 };

/** Limits of a request that no setting changes. Lengths in characters (Unicode code points). */
export const FIXED_LIMITS = {
  jobIdChars: 256,
  messages: 256,
  stops: 4,
  stopChars: 100,
  logprobs: 20,
  templateChars: 64,
} as const;
/** Characters that a narration leaves out or shows as a space: two ids must not look like one in the log. */
const HIDDEN = String.raw`\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800\u3000`;

const JOB_ID = z
  .string()
  .regex(new RegExp(`^[^${HIDDEN}]{1,${FIXED_LIMITS.jobIdChars}}$`, 'u'))
  .meta({
    description: `Id of the job, chosen by the caller: 1 to ${FIXED_LIMITS.jobIdChars} characters, no control, invisible or private-use characters`,
  });

/**
 * A text that reaches the model. JSON can escape half of a surrogate pair, such as \ud800, for which UTF-8
 * has no bytes: the tokenizer would see U+FFFD in its place.
 */
const text = () =>
  z.string().refine((given) => given.isWellFormed(), {
    params: { constraint: 'unicode', rule: 'well-formed Unicode, without half of a surrogate pair such as \\ud800' },
  });

const message = objectWithNulls({
  role: z.enum(['system', 'user', 'assistant']).meta({ description: 'Author of the message' }),
  content: text().meta({ description: 'Text of the message' }),
});

/** True if `text` has at most `max` code points. Counts them only if the UTF-16 length cannot decide. */
function fitsIn(text: string, max: number): boolean {
  if (text.length <= max) return true;
  if (text.length > 2 * max) return false;
  let points = 0;
  for (const _ of text) points += 1;
  return points <= max;
}

/** The fields, besides sampling parameters, whose rules are the same on every worker. */
const FIXED_FIELDS = {
  stop: z
    .array(
      text()
        .min(1)
        .refine((stop) => fitsIn(stop, FIXED_LIMITS.stopChars), { params: { constraint: 'max_length' } })
        .meta({ maxLength: FIXED_LIMITS.stopChars }),
    )
    .max(FIXED_LIMITS.stops)
    .optional()
    .meta({ description: 'Up to 4 strings of 1 to 100 characters that end the output; they are not part of it' }),
  logprobs: z
    .int()
    .min(0)
    .max(FIXED_LIMITS.logprobs)
    .optional()
    .meta({ description: 'Report the log-probability of each token and of this many alternatives' }),
  timeout_ms: z
    .int()
    .min(1)
    .max(86_400_000)
    .optional()
    .meta({ description: 'Milliseconds this request may take. When absent: --request-timeout' }),
};

/** The fields of `POST /execute`, each with its own rule. */
export function executeFields(limits: Limits = DEFAULT_LIMITS) {
  const chars = (text: string): boolean => fitsIn(text, limits.promptChars);
  return {
    job_id: JOB_ID,
    prompt: text()
      .min(1)
      .refine(chars, { params: { constraint: 'max_length' } })
      .optional()
      .meta({
        description: `1 to ${limits.promptChars} Unicode characters. Either \`prompt\` or \`messages\``,
        maxLength: limits.promptChars,
      }),
    messages: z
      .array(message)
      .min(1)
      .max(FIXED_LIMITS.messages)
      .refine((all) => chars(all.map((one) => one.content).join('')), { params: { constraint: 'max_length' } })
      .optional()
      .meta({ description: "A conversation, rendered with the model's chat template" }),
    raw: z
      .boolean()
      .optional()
      .meta({ description: 'true: the chat template is not applied to `prompt`. Not allowed with `messages`' }),
    template: z
      .string()
      .min(1)
      .refine((text) => fitsIn(text, FIXED_LIMITS.templateChars), { params: { constraint: 'max_length' } })
      .optional()
      .meta({
        description:
          "Name of the chat template, such as `tool_use`, if the model has several. Default: the model's default template. " +
          'Not allowed with `raw: true`',
        maxLength: FIXED_LIMITS.templateChars,
      }),
    max_tokens: z.int().min(1).max(limits.maxTokens).optional().meta({
      description:
        'Maximum number of tokens to generate. Default: the highest allowed number, at most the rest of the context',
    }),
    min_tokens: z.int().min(0).max(limits.maxTokens).optional().meta({
      description: 'End of sequence is not sampled before this many tokens; at most `max_tokens`. Default: 0',
    }),
    ...SAMPLING_FIELDS,
    ...FIXED_FIELDS,
    on_disconnect: z
      .enum(['cancel', 'continue'])
      .optional()
      .meta({
        description:
          'What happens when the last reader leaves before the end. `cancel`: the job stops. `continue`: the job continues, and waits ' +
          'for a reader at `GET /jobs/{job_id}/events` for `--detach-timeout`. Default: `cancel`',
      }),
  };
}

export const ExecuteBody = named(
  'ExecuteRequest',
  objectWithNulls(executeFields()).meta({
    oneOf: [
      { required: ['prompt'], properties: { prompt: { type: 'string' } } },
      { required: ['messages'], properties: { messages: { type: 'array' } } },
    ],
    description:
      'One job. Exactly one of `prompt` and `messages` is required. A field that is null counts as absent. Unknown fields are ignored, and a narration lists them. ' +
      'The maximum length of `prompt` and the maximum of `max_tokens` are the defaults of `--max-prompt-chars` and `--max-tokens-cap`.',
  }),
);
export type ExecuteRequest = z.output<typeof ExecuteBody>;

export const CancelBody = named('CancelRequest', objectWithNulls({ job_id: JOB_ID }));
