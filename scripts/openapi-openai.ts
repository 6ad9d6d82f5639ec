/** The prose of the routes of OpenAI's dialect. */
import '../src/contract/openai/chat.ts';
import '../src/contract/openai/chat-answers.ts';
import '../src/contract/openai/completion-answers.ts';
import '../src/contract/openai/completions.ts';
import '../src/contract/openai/models.ts';
import '../src/contract/openai/responses/body.ts';
import { RESPONSES_EVENTS } from '../src/contract/openai/responses/events.ts';
import type { RouteId } from '../src/contract/routes.ts';
import {
  type DialectErrors,
  FAILED_JOB,
  JOB_ERROR_HEADERS,
  json,
  oneOf,
  type RouteProse,
  ref,
} from './openapi-prose.ts';

export const OPENAI_ERRORS: DialectErrors = { schema: 'OpenAIErrorAnswer', statuses: { PROMPT_TOO_LONG: 400 } };

const TAKES = ['X-Narration', 'X-Deadline', 'Content-Encoding', 'traceparent'];
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
    headers: ['X-Job-Id', 'X-Run-Id'],
    content: {
      ...json(ref(document)),
      'text/event-stream': { anyOf: [ref(chunk), ref(OPENAI_ERRORS.schema)] },
    },
  }) as const;

/** The names of the schemas of all events, by the names of the events. */
const events = Object.fromEntries(
  Object.entries(RESPONSES_EVENTS).map(([name, schema]) => [name, String(schema.meta()?.id)]),
);

const THE_EVENTS = `\
One response object, or with \`"stream": true\` its events. The schema of the stream describes the data of one event. Each event has two
lines and an empty line: \`event:\` (the name) and \`data:\` (one line of JSON, which repeats the name as \`type\`). The order:

1. \`response.created\` and \`response.in_progress\`;
2. for each item of the output \`response.output_item.added\`, its parts and deltas, and \`response.output_item.done\`: one item after the
   other;
3. \`response.completed\`, or \`response.incomplete\` at the maximum of tokens, or \`response.failed\` and then \`error\`;
4. the stream closes. There is no \`[DONE]\`.

With \`--sse-keepalive chunk\` a quiet stream stays open by an event that changes nothing: an empty delta of the open item, or
\`response.in_progress\` again, with the number of the event before it. The same events carry the narration, with numbers of their own.

The error of a stream, and of a document after the job has begun, has one of these codes, in lower case:

`;

export const OPENAI_PROSE = {
  chatCompletions: {
    tag: 'openai',
    summary: "OpenAI's Chat Completions API",
    description:
      `${OWN_ID}Refused by name: images, audio and files in messages, \`functions\`, \`function_call\`, \`chat_template\`, ` +
      '`prompt_logprobs`, `audio`, `grammar` and `guided_grammar`. At most one field may demand a form of the output: ' +
      '`response_format`, `guided_json`, `guided_regex`, `guided_choice`, `structured_outputs` or `json_schema`.',
    takes: TAKES,
    body: 'ChatCompletionRequest',
    answers: { 200: stream('ChatCompletion', 'ChatCompletionChunk') },
    dialect: OPENAI_ERRORS,
    errorHeaders: JOB_ERROR_HEADERS,
    errorForms: FAILED_JOB,
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
    errorHeaders: JOB_ERROR_HEADERS,
    errorForms: FAILED_JOB,
  },
  responses: {
    tag: 'openai',
    summary: "OpenAI's Responses API, without stored responses",
    description:
      `${OWN_ID}The worker stores nothing: send the whole conversation in \`input\`. Refused by name: \`previous_response_id\`, ` +
      '`conversation`, `prompt`, `background: true`, references to items, images and files in messages, and `response_format` ' +
      '(use `text.format`). Tools and items of other types than those listed are skipped, and a narration names them.',
    takes: TAKES,
    body: 'ResponsesRequest',
    answers: {
      200: {
        description: THE_EVENTS,
        stream: true,
        headers: ['X-Job-Id', 'X-Run-Id'],
        content: { ...json(ref('ResponsesAnswer')), 'text/event-stream': oneOf(events) },
      },
    },
    dialect: OPENAI_ERRORS,
    errorHeaders: JOB_ERROR_HEADERS,
    errorForms: FAILED_JOB,
  },
  models: {
    tag: 'openai',
    summary: 'The model of this worker',
    description: 'A router can take this route as a readiness probe: it is 503 while the worker accepts no jobs.',
    takes: ['traceparent'],
    answers: { 200: { description: 'One model.', content: json(ref('OpenAIModels')) } },
    dialect: OPENAI_ERRORS,
    errorHeaders: { 503: ['Retry-After'] },
  },
  model: {
    tag: 'openai',
    summary: 'The model of this worker, by its name',
    takes: ['model', 'traceparent'],
    answers: { 200: { description: 'The model.', content: json(ref('OpenAIModel')) } },
    dialect: OPENAI_ERRORS,
    errorHeaders: { 503: ['Retry-After'] },
    errorForms: { 404: { description: 'The message names the model that the worker has.' } },
  },
} as const satisfies Partial<Record<RouteId, RouteProse>>;
