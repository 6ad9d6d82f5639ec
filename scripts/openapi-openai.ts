/** The prose of the routes of OpenAI's dialect. */
import '../src/contract/openai/chat.ts';
import '../src/contract/openai/chat-answers.ts';
import '../src/contract/openai/completion-answers.ts';
import '../src/contract/openai/completions.ts';
import '../src/contract/openai/models.ts';
import type { RouteId } from '../src/contract/routes.ts';
import { type DialectErrors, json, type RouteProse, ref } from './openapi-prose.ts';

export const OPENAI_ERRORS: DialectErrors = { schema: 'OpenAIErrorAnswer', statuses: { PROMPT_TOO_LONG: 400 } };

const REQUEST_ID = ['X-Request-Id'];
const TAKES = ['X-Narration', 'X-Deadline', 'Content-Encoding', 'traceparent'];
const RETRY = { 415: ['Accept-Encoding'], 503: ['Retry-After'] };
const OWN_ID = 'The job runs until the connection closes. `POST /cancel` accepts the id of the answer as `job_id`. ';

const theStream = (chunk: string): string => `\
One document, or with \`"stream": true\` its chunks. The schema of the stream describes the data of one chunk, \`${chunk}\`, or the error
that ends the stream early. Each chunk is one line \`data:\` and an empty line; there are no other lines. The last chunk of a choice has its
\`finish_reason\`. With \`stream_options.include_usage\` a chunk without a choice has the usage. The last line is \`data: [DONE]\`, also after
an error. \`--sse-keepalive\` says what keeps a quiet stream open.

The error of a stream, and of a document after the job has begun, has one of these codes, in lower case:

`;

const stream = (document: string, chunk: string) =>
  ({
    description: theStream(chunk),
    stream: true,
    headers: ['X-Run-Id', ...REQUEST_ID],
    content: {
      ...json(ref(document)),
      'text/event-stream': { anyOf: [ref(chunk), ref(OPENAI_ERRORS.schema)] },
    },
  }) as const;

export const OPENAI_PROSE = {
  chatCompletions: {
    tag: 'openai',
    summary: "OpenAI's Chat Completions API",
    description:
      `${OWN_ID}Refused by name: images, audio and files in messages, \`functions\`, \`function_call\`, \`chat_template\`, ` +
      '`prompt_logprobs`, `audio`, and a `response_format` other than `text`.',
    takes: TAKES,
    body: 'ChatCompletionRequest',
    answers: { 200: stream('ChatCompletion', 'ChatCompletionChunk') },
    dialect: OPENAI_ERRORS,
    errorHeaders: RETRY,
  },
  completions: {
    tag: 'openai',
    summary: "OpenAI's Completions API",
    description:
      `${OWN_ID}The prompt is not rendered with a chat template. With \`echo\` and \`logprobs\` the answer has the log-probabilities ` +
      'of the prompt. With `logprobs` and `max_tokens: 1`, the only token of an output is reported also if it ends the sequence.',
    takes: TAKES,
    body: 'CompletionRequest',
    answers: { 200: stream('Completion', 'CompletionChunk') },
    dialect: OPENAI_ERRORS,
    errorHeaders: RETRY,
  },
  models: {
    tag: 'openai',
    summary: 'The model of this worker',
    description: 'A router can take this route as a readiness probe: it is 503 while the worker accepts no jobs.',
    takes: ['traceparent'],
    answers: { 200: { description: 'One model.', headers: REQUEST_ID, content: json(ref('OpenAIModels')) } },
    dialect: OPENAI_ERRORS,
    errorHeaders: { 503: ['Retry-After'] },
  },
  model: {
    tag: 'openai',
    summary: 'The model of this worker, by its name',
    takes: ['model', 'traceparent'],
    answers: { 200: { description: 'The model.', headers: REQUEST_ID, content: json(ref('OpenAIModel')) } },
    dialect: OPENAI_ERRORS,
    errorHeaders: { 503: ['Retry-After'] },
    errorForms: { 404: { description: 'The message names the model that the worker has.' } },
  },
} as const satisfies Partial<Record<RouteId, RouteProse>>;
