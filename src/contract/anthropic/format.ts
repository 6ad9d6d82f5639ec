/** The form that a request of Anthropic's dialect demands of the answer. */
import { z } from 'zod';
import { objectWithNulls } from '../absent.ts';
import { schemaField } from '../format/fields.ts';
import { chosenForm, formOfType } from '../openai/chosen-form.ts';
import { named } from '../schema.ts';

const FormatText = z.object({ type: z.literal('text') });
const FormatSchema = named(
  'AnthropicFormatSchema',
  objectWithNulls({
    type: z.literal('json_schema').meta({ description: 'The text of the answer is a value of the schema' }),
    schema: schemaField().optional().meta({
      description: 'JSON Schema, required. It is enforced, see docs/structured-output.md',
    }),
  }),
);
type FormatOfText = { readonly type?: undefined } | z.output<typeof FormatText> | z.output<typeof FormatSchema>;
/** The form of the answer: the fields `output_config.format` and `output_format`. */
export const outputFormat = () =>
  chosenForm<FormatOfText>(
    formOfType<FormatOfText>(
      { text: FormatText, json_schema: FormatSchema },
      z.object({ type: z.enum(['text', 'json_schema']) }),
    ),
    [
      { type: 'object', properties: { type: { type: 'string', enum: ['text'], description: 'Any text' } } },
      'AnthropicFormatSchema',
    ],
    'The form of the text of the answer. At most one of `output_config.format` and `output_format`; not with a last message of the assistant',
  );
