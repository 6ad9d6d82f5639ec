/** The body of `POST /v1/completions`. Only the routes of OpenAI's dialect load this file. */
import { z } from 'zod';
import { objectWithNulls } from '../absent.ts';
import { named } from '../schema.ts';
import { ignoredFields, maximum, OPENAI_LIMITS, sharedFields } from './fields.ts';
import { formatFields } from './format-fields.ts';

/** Tokens of an output if the body names no maximum: the default of OpenAI. */
export const DEFAULT_COMPLETION_TOKENS = 16;

const ID = { type: 'integer', minimum: 0 };

/** Fields with an effect. */
const completionFields = () => ({
  ...sharedFields(),
  ...formatFields(),
  // The parser checks it: a schema of four forms would report each of 65 536 ids once for each form.
  prompt: z.unknown().meta({
    description:
      'A text, the token ids of a text, or a list of either. Not rendered with a chat template. ' +
      `At most ${OPENAI_LIMITS.sequences} prompts × \`n\``,
    oneOf: [
      { type: 'string' },
      { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: OPENAI_LIMITS.sequences },
      { type: 'array', items: ID, minItems: 1 },
      {
        type: 'array',
        items: { type: 'array', items: ID, minItems: 1 },
        minItems: 1,
        maxItems: OPENAI_LIMITS.sequences,
      },
    ],
  }),
  max_tokens: maximum()
    .optional()
    .meta({
      description:
        'Maximum number of tokens to generate. A number above the rest of the context is reduced. ' +
        'With `echo`, 0 generates none; without it, 0 counts as 1. A negative number counts as absent. ' +
        `Default: ${DEFAULT_COMPLETION_TOKENS}`,
    }),
  echo: z.boolean().optional().meta({
    description: 'true: the text begins with the prompt; with `logprobs`, the tokens of the prompt are reported too',
  }),
  logprobs: z.int().min(0).max(OPENAI_LIMITS.topLogprobs).optional().meta({
    description: 'Report the log-probability of each token and of this many alternatives',
  }),
  best_of: z.int().min(1).optional().meta({ description: 'Only 1, or the same as `n`' }),
  add_special_tokens: z.boolean().optional().meta({
    description:
      'false: text prompts get no special tokens, such as a beginning of sequence. Default: true. Extension of vLLM',
  }),
});

const IGNORED = ignoredFields();

/** Names of the fields with an effect; any other field is listed as ignored. */
export const COMPLETION_NAMES: ReadonlySet<string> = new Set(Object.keys(completionFields()));

export const CompletionBody = named(
  'CompletionRequest',
  objectWithNulls({ ...completionFields(), ...IGNORED }).meta({
    required: ['prompt'],
    description:
      'Prompts without a chat template. A field that is null counts as absent. Unknown fields are ignored, and a narration ' +
      'lists them. `suffix` and `prompt_logprobs` are refused by name.',
  }),
);
export type CompletionRequest = z.output<typeof CompletionBody>;
