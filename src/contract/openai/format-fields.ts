/**
 * The fields with which a request of OpenAI's dialect demands a form of the output: those of OpenAI, and
 * those of vLLM and llama-server. Only the routes of OpenAI's dialect load this file.
 */
import { z } from 'zod';
import { objectWithNulls } from '../absent.ts';
import { choiceField, regexField, schemaField, schemaOrTextField } from '../format/fields.ts';
import { named, text } from '../schema.ts';
import { chosenForm, formOfType } from './chosen-form.ts';
import { OPENAI_LIMITS } from './fields.ts';

/** The end of the description of every schema. */
const ENFORCED = 'Every output is a value that the schema accepts, see docs/structured-output.md';

/** The name, the purpose and `strict` of a schema. */
export const schemaLabels = () => ({
  name: z
    .string()
    .max(OPENAI_LIMITS.valueChars)
    .optional()
    .meta({ description: 'Name of the schema. It does not reach the model' }),
  description: text().optional().meta({
    description: 'Purpose of the schema. It does not reach the model; a narration names the field',
  }),
  strict: z.boolean().optional().meta({ description: 'No effect: every schema is enforced, also with `false`' }),
});

const textForm = objectWithNulls({ type: z.literal('text').meta({ description: 'Any text' }) });
const objectForm = named(
  'ResponseFormatObject',
  objectWithNulls({
    type: z.literal('json_object').meta({ description: 'Any object of JSON, or a value of `schema`' }),
    schema: schemaField()
      .optional()
      .meta({ description: `JSON Schema. ${ENFORCED}. Extension of llama-server` }),
  }),
);
const schemaForm = named(
  'ResponseFormatSchema',
  objectWithNulls({
    type: z.literal('json_schema').meta({ description: 'A value of the schema' }),
    json_schema: objectWithNulls({
      ...schemaLabels(),
      schema: schemaField()
        .optional()
        .meta({ description: `JSON Schema, required. ${ENFORCED}` }),
    })
      .optional()
      .meta({ description: 'The schema and its name' }),
    schema: schemaField().optional().meta({
      description: 'The schema in place of `json_schema`. Extension of other servers',
    }),
  }),
);

const TYPES = ['text', 'json_object', 'json_schema'] as const;
const otherType = z.object({ type: z.enum(TYPES) });
const TEXT_FORM = {
  type: 'object',
  properties: { type: { type: 'string', enum: ['text'], description: 'Any text' } },
};
type Chosen<F extends z.ZodType> = { readonly type?: undefined } | z.output<typeof textForm> | z.output<F>;
export type ResponseFormat = Chosen<typeof objectForm | typeof schemaForm>;

/** The field `response_format`. */
export const responseFormatField = () =>
  chosenForm<ResponseFormat>(
    formOfType<ResponseFormat>({ text: textForm, json_object: objectForm, json_schema: schemaForm }, otherType),
    [TEXT_FORM, 'ResponseFormatObject', 'ResponseFormatSchema'],
    'The form of every output: `text`, `json_object` or `json_schema`',
  );

const flatSchemaForm = named(
  'ResponsesFormatSchema',
  objectWithNulls({
    type: z.literal('json_schema').meta({ description: 'A value of the schema' }),
    ...schemaLabels(),
    schema: schemaField()
      .optional()
      .meta({ description: `JSON Schema, required. ${ENFORCED}` }),
  }),
);
export type TextFormat = Chosen<typeof objectForm | typeof flatSchemaForm>;

/** The field `text.format` of responses. */
export const textFormatField = () =>
  chosenForm<TextFormat>(
    formOfType<TextFormat>({ text: textForm, json_object: objectForm, json_schema: flatSchemaForm }, otherType),
    [TEXT_FORM, 'ResponseFormatObject', 'ResponsesFormatSchema'],
    'The form of the text: `text`, `json_object` or `json_schema`. The answer repeats it',
  );

const ONE = 'Not together with another form';
const refused = (description: string) => z.unknown().optional().meta({ description });

/** The fields of vLLM (`guided_…`, `structured_outputs`) and of llama-server (`json_schema`). */
export const guidedFields = () => ({
  guided_json: schemaOrTextField()
    .optional()
    .meta({ description: `JSON Schema, or its JSON text. ${ONE}. Extension of vLLM` }),
  guided_regex: regexField()
    .optional()
    .meta({ description: `Regular expression that matches every output as a whole. ${ONE}. Extension of vLLM` }),
  guided_choice: choiceField()
    .optional()
    .meta({ description: `Every output is one of these texts. ${ONE}. Extension of vLLM` }),
  structured_outputs: objectWithNulls({
    json: schemaOrTextField().optional().meta({ description: 'As `guided_json`' }),
    regex: regexField().optional().meta({ description: 'As `guided_regex`' }),
    choice: choiceField().optional().meta({ description: 'As `guided_choice`' }),
    json_object: z.boolean().optional().meta({ description: 'true: every output is an object of JSON' }),
    grammar: refused('Any value is refused: use `json`, `regex` or `choice`'),
    structural_tag: refused('Any value is refused: use `tools`, or `json`'),
  })
    .optional()
    .meta({ description: `The form of every output, by one of its fields. ${ONE}. Extension of vLLM` }),
  json_schema: schemaField()
    .optional()
    .meta({ description: `JSON Schema. ${ONE}. Extension of llama-server` }),
});

/** All fields of chat completions and completions. */
export const formatFields = () => ({ response_format: responseFormatField().optional(), ...guidedFields() });

type Output<T> = { readonly [N in keyof T]: T[N] extends { readonly _output: infer O } ? O : never };
/** The checked fields. */
export type GuidedBody = Partial<Output<ReturnType<typeof guidedFields>>>;
export type FormatBody = Partial<Output<ReturnType<typeof formatFields>>>;
