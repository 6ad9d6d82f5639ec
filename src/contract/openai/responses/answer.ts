/** The answer of `POST /v1/responses`: the response object and its items. */
import { z } from 'zod';
import { EVENTS } from '../../events.ts';
import { counted, named } from '../../schema.ts';

const text = (description: string) => z.string().meta({ description });
const nullable = <S extends z.ZodType>(schema: S, description: string) => schema.nullable().meta({ description });
/** A field of OpenAI that has the same value in every answer of this worker. */
const always = <V extends string | boolean | null>(value: V, description: string) =>
  z.literal(value).meta({ description });

const STATUS = z.enum(['in_progress', 'completed', 'incomplete']).meta({ description: 'State of the item' });
const likelihood = {
  token: text('Text of the token'),
  bytes: z.array(z.int()).meta({ description: 'Its bytes in UTF-8' }),
  logprob: z.number().meta({ description: 'Natural logarithm of its probability' }),
};
export const ResponsesLogprob = named(
  'ResponsesLogprob',
  z.object({
    ...likelihood,
    top_logprobs: z.array(z.object(likelihood)).meta({ description: 'The most likely tokens at this position' }),
  }),
);
export const OutputText = named(
  'ResponsesOutputText',
  z.object({
    type: z.literal('output_text').meta({ description: 'Text of the answer' }),
    text: text('The text'),
    annotations: z.array(z.never()).max(0).meta({ description: 'Always empty' }),
    logprobs: z.array(ResponsesLogprob).meta({ description: 'Empty unless the request asks for log-probabilities' }),
  }),
);
export const ReasoningText = named(
  'ResponsesReasoningText',
  z.object({
    type: z.literal('reasoning_text').meta({ description: 'Text of the reasoning' }),
    text: text('The text'),
  }),
);
const MessageOutput = named(
  'ResponsesOutputMessage',
  z.object({
    id: text('Id of the item'),
    type: z.literal('message').meta({ description: 'A text of the model' }),
    role: z.literal('assistant').meta({ description: 'Author of the message' }),
    status: STATUS,
    content: z.array(OutputText).max(1).meta({ description: 'The text; empty while the item begins' }),
  }),
);
const ReasoningOutput = named(
  'ResponsesOutputReasoning',
  z.object({
    id: text('Id of the item'),
    type: z.literal('reasoning').meta({ description: 'The reasoning of the model before the answer' }),
    status: STATUS,
    summary: z.array(z.never()).max(0).meta({ description: 'Always empty: the worker does not summarize' }),
    content: z.array(ReasoningText).max(1).meta({ description: 'The reasoning; empty while the item begins' }),
  }),
);
const CallOutput = named(
  'ResponsesOutputFunctionCall',
  z.object({
    id: text('Id of the item'),
    type: z.literal('function_call').meta({ description: 'A call that the client must run' }),
    status: STATUS,
    call_id: text('Id of the call: nine letters and digits. Send it with the result'),
    name: text('Name of the function'),
    arguments: text('Arguments as JSON text; empty while the item begins'),
  }),
);
export const OutputItem = named(
  'ResponsesOutputItem',
  z
    .discriminatedUnion('type', [MessageOutput, ReasoningOutput, CallOutput])
    .meta({ description: 'One item of the output' }),
);
export type OutputItem = z.output<typeof OutputItem>;

const Usage = z.object({
  input_tokens: counted('Tokens of the prompt'),
  input_tokens_details: z
    .object({ cached_tokens: counted('Tokens of the prompt that were in the cache') })
    .meta({ description: 'Parts of the prompt' }),
  output_tokens: counted('Tokens generated, with those of the reasoning'),
  output_tokens_details: z
    .object({ reasoning_tokens: counted('Tokens of the reasoning') })
    .meta({ description: 'Parts of the output' }),
  total_tokens: counted('Both together'),
});
const EchoedTool = named(
  'ResponsesEchoedTool',
  z.object({
    type: z.literal('function').meta({ description: 'A function of the request' }),
    name: text('Name of the function'),
    description: nullable(z.string(), 'As in the request'),
    parameters: nullable(z.record(z.string(), z.unknown()), 'As in the request'),
    strict: nullable(z.boolean(), 'As in the request'),
  }),
);
const EchoedChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.object({
    type: z.literal('function').meta({ description: 'The model had to call this function' }),
    name: text('Name of the function'),
  }),
]);

/** The form of the text, as the request has it. */
const EchoedFormat = named(
  'ResponsesEchoedFormat',
  z.object({
    type: z.enum(['text', 'json_object', 'json_schema']).meta({ description: 'Form of the text' }),
    name: z.string().optional().meta({ description: 'As in the request' }),
    description: z.string().optional().meta({ description: 'As in the request' }),
    schema: z.unknown().optional().meta({ description: 'As in the request' }),
    strict: z.boolean().optional().meta({ description: 'As in the request' }),
  }),
);

/** The settings of a request that its answer repeats. */
const settings = {
  instructions: nullable(z.string(), 'As in the request'),
  max_output_tokens: nullable(z.int(), 'As in the request; 1 for 0, and null for a negative number'),
  max_tool_calls: nullable(z.int(), 'As in the request, if it is a whole number'),
  metadata: z.record(z.string(), z.string()).meta({ description: 'The texts of the request' }),
  parallel_tool_calls: z.boolean().meta({ description: 'As in the request, or true' }),
  prompt_cache_key: nullable(z.string(), 'The text of the request'),
  safety_identifier: nullable(z.string(), 'The text of the request'),
  user: nullable(z.string(), 'The text of the request'),
  reasoning: z
    .object({
      effort: nullable(z.string(), 'As in the request'),
      summary: always(null, 'Always null'),
    })
    .meta({ description: 'Control of the reasoning' }),
  temperature: z.number().meta({ description: 'The value that was used' }),
  top_p: z.number().meta({ description: 'The value that was used' }),
  presence_penalty: z.number().meta({ description: 'The value that was used' }),
  frequency_penalty: z.number().meta({ description: 'The value that was used' }),
  top_logprobs: counted('As in the request, or 0'),
  tools: z.array(EchoedTool).meta({ description: 'The functions that the model could call; skipped tools are absent' }),
  tool_choice: EchoedChoice.meta({ description: 'The choice that was used' }),
  text: z
    .object({ format: EchoedFormat.meta({ description: 'As in the request, or `text`' }) })
    .meta({ description: 'Control of the text' }),
  truncation: always('disabled', 'Always `disabled`'),
  background: always(false, 'Always false'),
  store: always(false, 'Always false: the worker stores no answers'),
  service_tier: always('default', 'Always `default`'),
  previous_response_id: always(null, 'Always null'),
};
const Settings = z.object(settings);
export type ResponseSettings = z.output<typeof Settings>;

export const ResponsesAnswer = named(
  'ResponsesAnswer',
  z
    .object({
      id: text('Id of the response; also the id of its job, for `POST /cancel`'),
      object: z.literal('response').meta({ description: 'Type of the object' }),
      created_at: counted('When the job was accepted, in seconds since 1970'),
      completed_at: nullable(z.int().min(0), 'When the output was complete, in seconds since 1970; null otherwise'),
      status: z
        .enum(['in_progress', 'completed', 'incomplete', 'failed'])
        .meta({ description: 'State of the response' }),
      incomplete_details: nullable(
        z.object({ reason: always('max_output_tokens', 'The output has the maximum number of tokens') }),
        'Why the output is not complete; null if it is',
      ),
      error: nullable(
        z.object({ code: text('Stable name of the error'), message: text('The error as a sentence') }),
        'Why the response failed; null if it did not',
      ),
      model: text('Name of the model'),
      output: z.array(OutputItem).meta({ description: 'Reasoning, texts and calls in order' }),
      usage: nullable(Usage, 'Numbers of tokens; null until the end'),
      ...settings,
      narration: z
        .array(EVENTS.narration)
        .optional()
        .meta({ description: 'Only on request: the narration of the request. Not a field of OpenAI' }),
    })
    .meta({ description: 'The response so far, or the complete one' }),
);
export type ResponsesAnswer = z.output<typeof ResponsesAnswer>;
