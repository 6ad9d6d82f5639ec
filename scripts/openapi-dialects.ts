/** The prose of the routes of Anthropic's dialect and of the tokenizer. */
import { ANTHROPIC_EVENTS } from '../src/contract/anthropic/answers.ts';
import '../src/contract/anthropic/request.ts';
import type { RouteId } from '../src/contract/routes.ts';
import '../src/contract/tokenizer/answers.ts';
import '../src/contract/tokenizer/request.ts';
import { OPENAI_ERRORS } from './openapi-openai.ts';
import {
  type DialectErrors,
  FAILED_JOB,
  JOB_ERROR_HEADERS,
  json,
  oneOf,
  type RouteProse,
  ref,
} from './openapi-prose.ts';

const TOO_LONG = { PROMPT_TOO_LONG: 400 } as const;
const ANTHROPIC_ERRORS: DialectErrors = { schema: 'AnthropicError', statuses: TOO_LONG };

const THE_MESSAGES = `\
One message, or with \`"stream": true\` its events. Each event has the lines \`event:\` and \`data:\`, and an empty line. The order is that of
Anthropic's API: \`message_start\`; for each block \`content_block_start\`, \`content_block_delta\` and \`content_block_stop\`; \`message_delta\` with
the reason of the end and all numbers of tokens; \`message_stop\`. A \`ping\` can come at any time after \`message_start\`. An \`error\` ends the
stream early.

The data of an \`error\` event has the class and the sentence of one of these codes:

`;

const eventIds = Object.fromEntries(
  Object.entries(ANTHROPIC_EVENTS).map(([type, schema]) => [type, String(schema.meta()?.id)]),
);
const RETRY = { 415: ['Accept-Encoding'], 503: ['Retry-After'] };

export const DIALECT_PROSE = {
  messages: {
    tag: 'anthropic',
    summary: "Anthropic's Messages API",
    description:
      'The token is in `x-api-key`, or in `Authorization` as a bearer token. The job runs until the connection closes. ' +
      '`POST /cancel` accepts the id of the message as `job_id`.',
    takes: ['X-Narration', 'X-Deadline', 'Content-Encoding', 'traceparent'],
    body: 'AnthropicMessagesRequest',
    answers: {
      200: {
        description: THE_MESSAGES,
        stream: true,
        headers: ['X-Job-Id', 'X-Run-Id'],
        content: { ...json(ref('AnthropicAnswer')), 'text/event-stream': oneOf(eventIds) },
      },
    },
    dialect: ANTHROPIC_ERRORS,
    errorHeaders: JOB_ERROR_HEADERS,
    errorForms: {
      ...FAILED_JOB,
      400: { description: 'A prompt that does not fit has a message that begins with `prompt is too long`.' },
    },
  },
  countTokens: {
    tag: 'anthropic',
    summary: 'Count the tokens of a request',
    description:
      'Takes the body of `POST /v1/messages`, and answers the sum of the input tokens that this request would report. ' +
      'Counts a prompt that is longer than the context, too. The engine is not used.',
    takes: ['Content-Encoding', 'traceparent'],
    body: 'AnthropicMessagesRequest',
    answers: { 200: { description: 'The number.', content: json(ref('AnthropicTokenCount')) } },
    dialect: ANTHROPIC_ERRORS,
    errorHeaders: RETRY,
  },
  tokenize: {
    tag: 'tokenizer',
    summary: 'Convert a text or a conversation to ids of tokens',
    description:
      'In the form of vLLM. The text may be longer than the context: by default up to 131 072 characters and 262 144 tokens.',
    takes: ['Content-Encoding', 'traceparent'],
    body: 'TokenizeRequest',
    answers: {
      200: { description: 'The ids.', content: json(ref('TokenizeAnswer')) },
    },
    dialect: OPENAI_ERRORS,
    errorHeaders: RETRY,
  },
  detokenize: {
    tag: 'tokenizer',
    summary: 'Convert ids of tokens to their text',
    description: 'In the form of vLLM. The text has the special tokens.',
    takes: ['Content-Encoding', 'traceparent'],
    body: 'DetokenizeRequest',
    answers: {
      200: { description: 'The text.', content: json(ref('DetokenizeAnswer')) },
    },
    dialect: OPENAI_ERRORS,
    errorHeaders: RETRY,
    errorForms: { 400: { description: 'Also for an id outside of the vocabulary.' } },
  },
  tokenizerInfo: {
    tag: 'tokenizer',
    summary: 'Facts about the tokenizer',
    takes: ['traceparent'],
    answers: {
      200: { description: 'The facts.', content: json(ref('TokenizerInfo')) },
    },
    dialect: OPENAI_ERRORS,
    errorHeaders: { 503: ['Retry-After'] },
  },
} as const satisfies Partial<Record<RouteId, RouteProse>>;
