/**
 * The body of `POST /execute` in openapi.yaml, with the highest limits. The worker checks bodies with its own
 * limits (http/validate.ts), so it does not load this file.
 */
import { objectWithNulls } from './absent.ts';
import { executeFields } from './execute.ts';
import { named } from './schema.ts';
import { chatFunction } from './tools/fields.ts';

// `tools` refers to this schema by its name.
chatFunction();

export const ExecuteBody = named(
  'ExecuteRequest',
  objectWithNulls(executeFields()).meta({
    oneOf: [
      { required: ['prompt'], properties: { prompt: { type: 'string' } } },
      { required: ['messages'], properties: { messages: { type: 'array' } } },
    ],
    description:
      'One job. Exactly one of `prompt` and `messages` is required. A field that is null counts as absent. Unknown fields are ' +
      'ignored, and a narration lists them. The maxima of `prompt` and `max_tokens` depend on the context of the model, unless ' +
      '`--max-prompt-chars` and `--max-tokens-cap` set them. A violation names the limit of the worker.',
  }),
);
