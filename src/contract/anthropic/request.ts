/**
 * The body of Anthropic's `POST /v1/messages` and `POST /v1/messages/count_tokens`. Loaded with the first
 * request of this dialect. https://docs.claude.com/en/api/messages
 */
import { z } from 'zod';
import { objectWithNulls } from '../absent.ts';
import { OPENAI_LIMITS, stopText } from '../openai/fields.ts';
import { samplingFields } from '../sampling-fields.ts';
import { named, text } from '../schema.ts';
import { outputFormat } from './format.ts';

/** Longest name of a tool, in UTF-16 units. */
export const MAX_TOOL_NAME = 128;
/** Types of the blocks that the worker reads. */
export const BLOCK_TYPES: ReadonlySet<string> = new Set([
  'text',
  'tool_use',
  'tool_result',
  'thinking',
  'redacted_thinking',
]);
/** Types of the parts of a result that the worker reads. */
const RESULT_TYPES: ReadonlySet<string> = new Set(['text']);
/** Types of the tools that the worker reads. */
const TOOL_TYPES: ReadonlySet<string> = new Set(['custom']);
/** Types of blocks that the worker refuses, because the model needs them. It skips other unknown types. */
const REFUSED_BLOCKS: ReadonlySet<string> = new Set(['image', 'document']);

const object = (description: string) => z.record(z.string(), z.unknown()).optional().meta({ description });

/** Schema of an object that keeps only its type if the worker does not read objects of that type. */
const onlyType = <T extends z.ZodType>(types: ReadonlySet<string>, schema: T) =>
  z.preprocess((given) => {
    if (typeof given !== 'object' || given === null || !('type' in given)) return given;
    const { type } = given;
    return typeof type === 'string' && !types.has(type) ? { type } : given;
  }, schema);
/** The type of a block. */
const blockType = (description: string) =>
  z
    .string()
    .min(1)
    .refine((type) => !REFUSED_BLOCKS.has(type), {
      params: { constraint: 'unsupported' },
      error: ({ input }) => `text: this worker does not read blocks of the type ${String(input)}`,
    })
    .meta({ description });

const CACHE_CONTROL = object('No effect: the worker caches the prompts of all requests. A narration says so');

const TEXT_BLOCK = {
  type: z.enum(['text']).meta({ description: 'Kind of the block' }),
  text: text().meta({ description: 'Text of the block' }),
  cache_control: CACHE_CONTROL,
};
const TextBlock = named('AnthropicTextBlock', objectWithNulls(TEXT_BLOCK));
const ResultPart = named(
  'AnthropicResultPart',
  onlyType(
    RESULT_TYPES,
    objectWithNulls({
      type: blockType(
        '`text`. Images and documents are refused. A part of any other type is skipped, and a narration names its type',
      ),
      text: text().optional().meta({ description: '`text`: the text' }),
      cache_control: CACHE_CONTROL,
    }),
  ),
);

const BLOCK = {
  type: blockType(
    '`text`, `tool_use`, `tool_result`, `thinking` or `redacted_thinking`. Images and documents are refused. ' +
      'A block of any other type, such as `server_tool_use`, is skipped, and a narration names its type',
  ),
  text: text().optional().meta({ description: '`text`: the text' }),
  id: text().min(1).optional().meta({ description: '`tool_use`: id of the call' }),
  name: text().min(1).max(MAX_TOOL_NAME).optional().meta({ description: '`tool_use`: name of the tool' }),
  input: object('`tool_use`: arguments of the call'),
  tool_use_id: text().min(1).optional().meta({ description: '`tool_result`: id of the call' }),
  content: z
    .union([text(), z.array(ResultPart)])
    .optional()
    .meta({ description: '`tool_result`: result of the call. Absent: an empty text' }),
  is_error: z
    .boolean()
    .optional()
    .meta({ description: '`tool_result`: the call has failed. The model then reads `Error: ` before the result' }),
  thinking: text().optional().meta({ description: '`thinking`: the reasoning' }),
  signature: z.string().optional().meta({ description: '`thinking`: no effect; this worker signs nothing' }),
  data: z.string().optional().meta({
    description: '`redacted_thinking`: no effect; the worker cannot read the block, and a narration names it',
  }),
  cache_control: CACHE_CONTROL,
};
const Block = named(
  'AnthropicBlock',
  onlyType(
    BLOCK_TYPES,
    objectWithNulls(BLOCK).meta({
      description: 'A part of a message. Its type decides which of the other fields it has',
    }),
  ),
);
export type AnthropicBlock = z.output<typeof Block>;

const MESSAGE = {
  role: z.enum(['user', 'assistant', 'system']).meta({ description: 'Author of the message' }),
  content: z.union([text(), z.array(Block)]).meta({ description: 'A text, or the blocks of the message' }),
};
const Message = named('AnthropicMessage', objectWithNulls(MESSAGE));
export type AnthropicMessage = z.output<typeof Message>;

const TOOL = {
  type: z.string().min(1).optional().meta({
    description:
      'Absent or `custom`: a function of the client. A tool of any other type, such as `web_search_20250305`, is skipped, and a narration names it',
  }),
  name: text().min(1).max(MAX_TOOL_NAME).optional().meta({
    description: 'Name of the tool. A function of the client must have one, which no other function has',
  }),
  description: text().optional().meta({ description: 'Purpose of the tool' }),
  input_schema: object('JSON Schema of the arguments'),
  strict: z.boolean().optional().meta({ description: 'true: the arguments of every call match `input_schema`' }),
  cache_control: CACHE_CONTROL,
};
const Tool = named('AnthropicTool', onlyType(TOOL_TYPES, objectWithNulls(TOOL)));
export type AnthropicTool = z.output<typeof Tool>;

/** The fields that decide the prompt, and the number of its tokens. */
const promptFields = () => ({
  model: z.string().optional().meta({
    description: 'Any name is accepted: the worker has one model. A narration names another name than its own',
  }),
  messages: z
    .array(Message)
    .min(1)
    .meta({
      description:
        'The conversation. `tool_result` blocks of a message become messages of the role `tool`, before the texts of the message. ' +
        'Messages of the same author that follow each other become one. ' +
        'A last message of the role `assistant`, which has text only, is the beginning of the answer; the answer has only the continuation',
    }),
  system: z
    .union([text(), z.array(TextBlock)])
    .optional()
    .meta({ description: 'The system prompt' }),
  tools: z.array(Tool).optional().meta({ description: 'Functions that the model may call' }),
  tool_choice: objectWithNulls({
    type: z
      .enum(['auto', 'any', 'tool', 'none'])
      .meta({ description: '`any`: at least one call. `tool`: a call of the tool `name`' }),
    name: text().min(1).optional().meta({ description: '`tool`: name of the tool' }),
    disable_parallel_tool_use: z.boolean().optional().meta({ description: 'true: at most one call' }),
  })
    .optional()
    .meta({ description: 'Which tools the model may or must call. Default: `auto`' }),
  thinking: objectWithNulls({
    type: z
      .enum(['enabled', 'disabled', 'adaptive'])
      .meta({ description: 'Becomes `enable_thinking` of the template' }),
    budget_tokens: z.int().min(0).optional().meta({ description: 'No effect. A narration says so' }),
    display: z.string().optional().meta({ description: 'No effect. A narration says so' }),
  })
    .optional()
    .meta({
      description: "Turns reasoning before the answer on or off. When absent: the default of the model's template",
    }),
  output_config: objectWithNulls({
    effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).optional().meta({
      description: 'Becomes `reasoning_effort` of the template: `xhigh` and `max` become `high`',
    }),
    format: outputFormat().optional(),
  })
    .optional()
    .meta({ description: 'Form of the answer' }),
  output_format: outputFormat().optional(),
});

/** The fields that say how the answer is generated and sent. */
const outputFields = () => ({
  max_tokens: z
    .int()
    .optional()
    .meta({
      description:
        'Maximum number of tokens to generate. Reduced to the rest of the context. When absent: that number. ' +
        '0 counts as 1, and a negative number as absent',
    }),
  stop_sequences: z
    .array(stopText().min(1))
    .max(OPENAI_LIMITS.stops)
    .optional()
    .meta({
      description: `Up to ${OPENAI_LIMITS.stops} texts of 1 to ${OPENAI_LIMITS.stopChars} characters that end the answer; they are not part of it`,
    }),
  stream: z.boolean().optional().meta({ description: 'true: the answer is a stream of server-sent events' }),
  metadata: object('No effect. A narration says so'),
  service_tier: z.string().optional().meta({ description: 'No effect. A narration says so' }),
  ...samplingFields(),
  top_k: z.int().min(-1).optional().meta({ description: 'Keep the k likeliest tokens; 0 and -1 are off' }),
  seed: z.int().optional().meta({ description: 'Extension. The same seed draws the same tokens' }),
  min_tokens: z.int().min(0).optional().meta({
    description: 'Extension. The answer does not end by itself before this many tokens',
  }),
  ignore_eos: z.boolean().optional().meta({ description: 'Extension. The answer does not end by itself' }),
  narration: z.boolean().optional().meta({
    description:
      'Extension. true: the answer has the narration of the request, in `ping` events of a stream, or in the field `narration` of a message',
  }),
  timeout_ms: z.int().min(1).max(86_400_000).optional().meta({
    description: 'Extension. Milliseconds this request may take. When absent: --request-timeout',
  }),
});

const FIELDS = { ...promptFields(), ...outputFields() };
/** Names of all fields. */
export const MESSAGES_FIELDS: ReadonlySet<string> = new Set(Object.keys(FIELDS));

export const MessagesBody = named(
  'AnthropicMessagesRequest',
  objectWithNulls(FIELDS).meta({
    description:
      "A request of Anthropic's Messages API. A field that is null counts as absent. Unknown fields are ignored, and a narration " +
      'lists them. The headers `anthropic-version` and `anthropic-beta`, and the query `beta=true`, have no effect.',
  }),
);
export type MessagesRequest = z.output<typeof MessagesBody>;
