/**
 * The bodies of `POST /execute` and `POST /cancel`. Validation, types and openapi.yaml are derived from these
 * schemas. The descriptions become the text of openapi.yaml.
 */
import { z } from 'zod';
import { objectWithNulls } from './absent.ts';
import { cacheSaltFields } from './cache/salt.ts';
import { choiceField, FORMAT_LIMITS, regexField, schemaField } from './format/fields.ts';
import { resumeFields } from './resume/fields.ts';
import { logitBiasFields, samplingFields } from './sampling-fields.ts';
import { named, text } from './schema.ts';
import { reasoningFields, toolFields } from './tools/fields.ts';
import { message } from './tools/messages.ts';

/** Limits of a request, from the operator or from the context of the model. */
export interface Limits {
  /** Characters (Unicode code points) of the prompt, or of all messages together. */
  readonly promptChars: number;
  /** Maximum of `max_tokens` and `min_tokens`. */
  readonly maxTokens: number;
}

/**
 * Characters of a prompt for each token of the context, for `--max-prompt-chars auto`. Usual text has 1 to 6
 * characters for each token, code with deep indentation up to 10. A prompt of more characters would have
 * longer tokens than most vocabularies contain.
 */
export const CHARS_PER_TOKEN = 16;
/**
 * The bounds of `--max-prompt-chars auto`. The lower one allows a short context any prompt that gets an
 * exact answer: `PROMPT_TOO_LONG` with the number of its tokens. The upper one keeps the work of a request on
 * the event loop below 50 ms (test/loop): the longest turn of a body of 2 MiB took 35 ms.
 */
export const AUTO_PROMPT_CHARS = { least: 32_768, most: 2 ** 21 } as const;
/** The least maximum of `max_tokens` for `--max-tokens-cap auto`. An output ends at the context anyway. */
export const LEAST_AUTO_TOKENS = 2048;
/** The highest value of `--max-tokens-cap`, and the longest context. */
const MOST_TOKENS = 1_048_576;

/** The settings from which the limits come. */
export interface LimitSettings {
  readonly maxPromptChars: number | 'auto';
  readonly maxTokensCap: number | 'auto';
}

/** The limits of a request for a model. `context`: tokens of the context. */
export function limitsOf({ maxPromptChars, maxTokensCap }: LimitSettings, context: number): Limits {
  const { least, most } = AUTO_PROMPT_CHARS;
  const chars = Math.min(most, Math.max(least, CHARS_PER_TOKEN * context));
  return {
    promptChars: maxPromptChars === 'auto' ? chars : maxPromptChars,
    maxTokens: maxTokensCap === 'auto' ? Math.max(LEAST_AUTO_TOKENS, context) : maxTokensCap,
  };
}

/** The highest limits of a worker with default settings, for openapi.yaml. */
const HIGHEST_LIMITS: Limits = { promptChars: AUTO_PROMPT_CHARS.most, maxTokens: MOST_TOKENS };

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

/** True if `text` has at most `max` code points. Counts them only if the UTF-16 length cannot decide. */
function fitsIn(text: string, max: number): boolean {
  if (text.length <= max) return true;
  if (text.length > 2 * max) return false;
  let points = text.length;
  for (let at = 1; at < text.length && points > max; at += 1) {
    if (!isIn(text.charCodeAt(at), LOW_SURROGATES) || !isIn(text.charCodeAt(at - 1), HIGH_SURROGATES)) continue;
    points -= 1;
    at += 1; // A pair cannot begin within a pair.
  }
  return points <= max;
}

const HIGH_SURROGATES = 0xd800;
const LOW_SURROGATES = 0xdc00;
/** True if a UTF-16 unit is in one of these ranges of 1 024. */
const isIn = (unit: number, range: number): boolean => (unit & 0xfc00) === range;

/** The fields, besides sampling parameters, whose rules are the same on every worker. */
const fixedFields = () => ({
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
});

/** The fields of tools, of reasoning, and of their parts of the output. */
const partFields = () => ({
  ...toolFields(),
  ...reasoningFields(),
  parts: z
    .boolean()
    .optional()
    .meta({
      description:
        'true: each `token` event names the part of the output that it belongs to: the answer, reasoning, or a tool call. ' +
        'false: the output is one text with the marks of reasoning and of calls. Default: true with `tools`, otherwise false',
    }),
});

/** The fields that demand a form of the output: at most one of them. */
const formatFields = () => ({
  schema: schemaField()
    .optional()
    .meta({
      description:
        'JSON Schema. The output is a value that the schema accepts, see docs/structured-output.md. `true`: any value of JSON; ' +
        '`{"type": "object"}`: any object of JSON. Not together with `regex` or `choice`',
    }),
  regex: regexField()
    .optional()
    .meta({
      description:
        `Regular expression of 1 to ${FORMAT_LIMITS.regexChars} characters that matches the output as a whole. ` +
        'Not together with `schema` or `choice`',
    }),
  choice: choiceField()
    .optional()
    .meta({
      description:
        `The output is one of these texts: 1 to ${FORMAT_LIMITS.choices} different texts of 1 to ` +
        `${FORMAT_LIMITS.choiceChars} characters each. Not together with \`schema\` or \`regex\``,
    }),
});

/** The fields of `POST /execute`, each with its own rule. */
export function executeFields(limits: Limits = HIGHEST_LIMITS) {
  const chars = (text: string): boolean => fitsIn(text, limits.promptChars);
  return {
    job_id: JOB_ID,
    prompt: text()
      .min(1)
      .refine(chars, { params: { constraint: 'max_length' } })
      .optional()
      .meta({
        description:
          'At least 1 Unicode character. The maximum is that of `--max-prompt-chars`; by default ' +
          `${CHARS_PER_TOKEN} for each token of the context, from ${AUTO_PROMPT_CHARS.least} to ${AUTO_PROMPT_CHARS.most}. ` +
          'Either `prompt` or `messages`',
        maxLength: limits.promptChars,
      }),
    messages: z
      .array(message())
      .min(1)
      .max(FIXED_LIMITS.messages)
      .refine((all) => chars(all.map(({ content = '' }) => content).join('')), { params: { constraint: 'max_length' } })
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
    max_tokens: z
      .int()
      .min(1)
      .max(limits.maxTokens)
      .optional()
      .meta({
        description:
          'Maximum number of tokens to generate. The maximum is that of `--max-tokens-cap`; by default the context length, ' +
          `at least ${LEAST_AUTO_TOKENS}. When absent: that number, at most the rest of the context`,
      }),
    min_tokens: z.int().min(0).max(limits.maxTokens).optional().meta({
      description: 'End of sequence is not sampled before this many tokens; at most `max_tokens`. Default: 0',
    }),
    ...samplingFields(),
    ...logitBiasFields(),
    ...fixedFields(),
    ...formatFields(),
    ...partFields(),
    ...resumeFields(),
    ...cacheSaltFields(),
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

/** A valid body of `POST /execute`, without the fields that are null. */
export type ExecuteRequest = z.output<z.ZodObject<ReturnType<typeof executeFields>>>;

export const CancelBody = named('CancelRequest', objectWithNulls({ job_id: JOB_ID }));
