/**
 * Records real exchanges with the built worker into test/recordings: one request, its whole answer, and the
 * lines of stdout with its correlation id. They are the examples of openapi.yaml, and a test compares them
 * with that contract. Times, process ids and durations are recorded as they are, and differ from run to run.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { messagesIn } from '../src/client/sse.ts';
import { reasoned, scriptedModel, toolCall } from '../test/support/scripted-model/model.ts';

const FOLDER = fileURLToPath(new URL('../test/recordings/', import.meta.url));
const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const TOKEN = 'not-a-real-token';
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
/** Headers that a recording keeps. */
const KEPT_HEADERS = [
  'content-type',
  'x-correlation-id',
  'x-request-id',
  'traceparent',
  'cache-control',
  'x-accel-buffering',
  'retry-after',
  'x-job-id',
  'x-run-id',
  'x-request-id',
  'request-id',
  'x-worker-slots-free',
  'x-worker-queue',
  'x-worker-expected-wait-ms',
  'www-authenticate',
];
const JSON_BODY = { 'Content-Type': 'application/json' };
const SSE = { Accept: 'text/event-stream' };
/** A job that still runs when the next requests arrive. */
const LONG_OUTPUT = { min_tokens: 480 };
const LONG = { prompt: 'Write about the sea', ...LONG_OUTPUT };

/** A form of an output that the embedded model fills in a few tokens. */
const MOOD = {
  type: 'object',
  properties: { mood: { enum: ['calm', 'wild'] } },
  required: ['mood'],
  additionalProperties: false,
};

type Headers = Record<string, string>;
type Line = Readonly<Record<string, unknown>> & { readonly event: string };
type Method = 'GET' | 'POST';

interface Exchange {
  readonly about: string;
  readonly request: object;
  readonly response: object;
  readonly log: () => readonly Line[];
}

const recordings = new Map<string, Exchange>();

/** One worker from its start to its exit. */
async function recordService(): Promise<void> {
  const worker = await Recorder.start();
  const starting = [
    worker.record('health-starting', 'While the model is loading', 'GET', '/health'),
    worker.record('ready-loading', 'While the model is loading', 'GET', '/ready'),
    worker.record('models-loading', 'While the model is loading', 'GET', '/v1/models'),
    worker.record('execute-loading', 'A job while the model is loading', 'POST', '/execute', {
      job_id: 'job-1',
      ...LONG,
    }),
  ];
  expectStatuses(await Promise.all(starting), 503);
  await worker.ready();
  await recordProbes(worker);
  await recordJobs(worker);
  await recordContinued(worker);
  await recordReplays(worker);
  await recordMessages(worker);
  await recordTokenizer(worker);
  await recordRefusals(worker);
  await recordOpenAI(worker);
  await recordResponses(worker);
  await worker.record('announce-unset', 'A worker without --callback-url', 'POST', '/announce');
  await worker.record('not-found', 'An unknown path', 'GET', '/nowhere');
  await worker.record('metrics', 'A part of the lines', 'GET', '/metrics');
  await recordCancel(worker);
  await recordEarlyCancel(worker);
  await recordShutdown(worker);
}

async function recordProbes(worker: Recorder): Promise<void> {
  await worker.record('health-healthy', 'The model is loaded', 'GET', '/health');
  await worker.record('live', 'The process answers', 'GET', '/live');
  await worker.record('ready', 'The model is loaded', 'GET', '/ready');
}

/** A job that tells its ids, and another one that continues its output. */
async function recordContinued(worker: Recorder): Promise<void> {
  const body = { prompt: 'Write a haiku about the sea', seed: 42, max_tokens: 8, ids: true };
  await worker.record('execute-ids', 'Tokens with their ids', 'POST', '/execute', { job_id: 'job-25', ...body });
  const recorded = recordings.get('execute-ids')?.response as { readonly body: string } | undefined;
  const events = messagesIn(recorded?.body ?? '').map(
    ({ data }) => JSON.parse(data) as Readonly<Record<string, unknown>>,
  );
  const [started] = events;
  const tokens = events.filter(({ type }) => type === 'token').slice(0, 3);
  const resume = {
    token_ids: tokens.flatMap(({ ids = [] }) => ids),
    index: tokens.length,
    fingerprint: started?.['fingerprint'],
  };
  const about = 'The same output, continued after its third event';
  await worker.record('execute-resumed', about, 'POST', '/execute', { job_id: 'job-26', ...body, resume });
  await worker.record('execute-resume-refused', 'Another prompt than that of the ids', 'POST', '/execute', {
    job_id: 'job-27',
    ...body,
    prompt: 'Write a haiku about a frog',
    resume,
  });
}

async function recordJobs(worker: Recorder): Promise<void> {
  const prompt = 'Write a haiku about the sea';
  const execute = (name: string, about: string, body: unknown, headers?: Headers) =>
    worker.record(name, about, 'POST', '/execute', body, headers);
  await execute(
    'execute-seed-42',
    'A haiku with seed 42',
    { job_id: 'job-2', prompt, seed: 42 },
    { traceparent: TRACE },
  );
  await execute('execute-logprobs', 'The three most likely tokens at each position, greedy', {
    job_id: 'job-3',
    prompt,
    temperature: 0,
    max_tokens: 4,
    logprobs: 3,
  });
  await execute('execute-stop-string', 'A conversation, ended by a stop string after one line', {
    job_id: 'job-4',
    messages: [{ role: 'user', content: prompt }],
    seed: 42,
    stop: ['\n'],
  });
  await execute('execute-schema', 'An output of the form of a JSON Schema', {
    job_id: 'job-19',
    prompt,
    seed: 42,
    schema: MOOD,
  });
  await execute('execute-unknown-field', 'A misspelt field is ignored and reported', {
    job_id: 'job-5',
    prompt,
    seed: 42,
    max_token: 5,
    max_tokens: 5,
  });
  await execute('execute-timeout', 'A job with a timeout of 30 ms', { job_id: 'job-6', ...LONG, timeout_ms: 30 });
}

async function recordMessages(worker: Recorder): Promise<void> {
  const body = { model: 'haiku', max_tokens: 24, messages: [{ role: 'user', content: 'Write a haiku about the sea' }] };
  const send = (name: string, about: string, more: object, headers?: Headers, path = '/v1/messages') =>
    worker.record(name, about, 'POST', path, { ...body, ...more }, headers);
  await send('messages', 'A message', { temperature: 0 });
  await send('messages-schema', 'An output of the form of a JSON Schema', {
    output_config: { format: { type: 'json_schema', schema: MOOD } },
  });
  await send('messages-stream', 'A stream, ended by a stop sequence', { stream: true, stop_sequences: ['\n'] });
  await send('messages-narration', 'A short stream with its narration', {
    stream: true,
    max_tokens: 2,
    narration: true,
  });
  await send('messages-timeout', 'A stream that ends early', {
    ...LONG_OUTPUT,
    max_tokens: 480,
    stream: true,
    timeout_ms: 30,
  });
  await send('messages-invalid', 'An image', {
    messages: [{ role: 'user', content: [{ type: 'image', source: {} }] }],
  });
  await send('messages-too-long', 'A prompt with more tokens than the context', {
    messages: [{ role: 'user', content: 'sea '.repeat(600) }],
  });
  await send('count-tokens', 'The tokens of a message', {}, {}, '/v1/messages/count_tokens');
}

async function recordTokenizer(worker: Recorder): Promise<void> {
  const post = (name: string, about: string, path: string, body: object) =>
    worker.record(name, about, 'POST', path, body);
  await post('tokenize', 'A text, with the names of its tokens', '/tokenize', {
    prompt: 'Write a haiku',
    return_token_strs: true,
  });
  await post('tokenize-messages', 'A conversation', '/tokenize', { messages: [{ role: 'user', content: 'Write' }] });
  await post('tokenize-invalid', 'No text', '/tokenize', {});
  await post('detokenize', 'Three ids', '/detokenize', { tokens: [308, 263, 297] });
  await post('detokenize-invalid', 'An id outside of the vocabulary', '/detokenize', { tokens: [308, 5000] });
  await worker.record('tokenizer-info', 'The embedded model', 'GET', '/tokenizer_info');
}

/** A client that returns to a stream sends the same correlation id again. */
async function recordReplays(worker: Recorder): Promise<void> {
  const again = (name: string, about: string, query = '', headers: Headers = {}) =>
    worker.record(name, about, 'GET', `/jobs/job-18/events${query}`, undefined, headers);
  const body = { job_id: 'job-18', prompt: 'Write a haiku about the sea', seed: 42, stop: ['\n'] };
  const stream = await worker.begin(body, { 'X-Correlation-Id': 'req-events-replayed' });
  const ids = [...(await stream.text()).matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
  await again('events-replayed', 'A finished stream, after its event 4', `?after=${ids[4]}`);
  await again('events-over', 'The client already has every event', `?after=${ids.at(-1)}`);
  await again('events-other-run', 'An event of another run of the job', '?after=4&run_id=another');
  await again('events-invalid', 'An event id of another form', '?after=last');
  await again('events-foreign-page', 'A browser request from a page of another site', '', {
    'Sec-Fetch-Site': 'cross-site',
  });
  await worker.record('events-unknown', 'An unknown id', 'GET', '/jobs/job-unknown/events');
  await worker.record('jobs', 'The last two jobs', 'GET', '/jobs?limit=2');
  await worker.record('jobs-invalid', 'A limit beyond the maximum', 'GET', '/jobs?limit=1001');
}

async function recordRefusals(worker: Recorder): Promise<void> {
  const execute = (name: string, about: string, body: unknown, headers?: Headers) =>
    worker.record(name, about, 'POST', '/execute', body, headers);
  const wrong = { job_id: 'job-7', temperature: 3, max_tokens: 0 };
  await execute('execute-invalid-json', 'Three broken rules, as JSON', wrong);
  await execute('execute-invalid-sse', 'Three broken rules, as a stream', wrong, SSE);
  await execute('execute-malformed-json', 'A body that is not JSON', '{"job_id": "job-8", ');
  await execute('execute-not-json', 'A body of another content type', 'Write a haiku', {
    'Content-Type': 'text/plain',
  });
  await execute(
    'execute-foreign-page',
    'A browser request from a page of another site',
    { job_id: 'job-13', prompt: 'Write a haiku' },
    { Origin: 'https://other.example' },
  );
  await execute('execute-prompt-too-long', 'A prompt with more tokens than the context', {
    job_id: 'job-9',
    prompt: 'sea '.repeat(600),
  });
  await worker.record('events-gone', 'A job that was refused', 'GET', '/jobs/job-9/events');
  await execute(
    'execute-deadline-past',
    'A deadline that has passed',
    { job_id: 'job-10', ...LONG },
    {
      'X-Deadline': '2026-01-31T12:00:00Z',
    },
  );
  const running = await worker.begin({ job_id: 'job-11', ...LONG });
  await execute('execute-duplicate', 'The id of a running job', { job_id: 'job-11', ...LONG });
  await recordFullJob(worker, 'job-11');
  await worker.send('POST', '/cancel', { job_id: 'job-11' });
  await running.text();
  await worker.record('cancel-unknown', 'An unknown id', 'POST', '/cancel', { job_id: 'job-unknown' });
  await worker.record('cancel-invalid', 'No id', 'POST', '/cancel', {});
}

/** OpenAI's dialect: a document, a stream, and a refusal of each route. */
async function recordOpenAI(worker: Recorder): Promise<void> {
  const send = (name: string, about: string, path: string, body: unknown) =>
    worker.record(name, about, 'POST', path, body);
  const messages = [{ role: 'user', content: 'Write a haiku about the sea' }];
  const [chat, completions] = ['/v1/chat/completions', '/v1/completions'];
  await send('chat-completion', 'Two outputs with seeds 42 and 43', chat, { messages, n: 2, seed: 42 });
  await send('chat-logprobs', 'The two most likely tokens at each position', chat, {
    messages,
    temperature: 0,
    max_tokens: 3,
    logprobs: true,
    top_logprobs: 2,
  });
  await send('chat-schema', 'An output of the form of a JSON Schema', chat, {
    messages,
    seed: 42,
    response_format: { type: 'json_schema', json_schema: { name: 'mood', strict: true, schema: MOOD } },
  });
  await send('chat-stream', 'A stream with usage in its last chunk', chat, {
    messages,
    seed: 42,
    max_completion_tokens: 12,
    stream: true,
    stream_options: { include_usage: true },
  });
  await send('chat-narration', 'A stream with the narration of the request', chat, {
    messages,
    seed: 42,
    max_tokens: 4,
    stream: true,
    narration: true,
  });
  await send('chat-timeout', 'A stream that ends early', chat, {
    messages,
    ...LONG_OUTPUT,
    stream: true,
    timeout_ms: 30,
  });
  await send('chat-late', 'A document whose job ends early', chat, { messages, ...LONG_OUTPUT, timeout_ms: 30 });
  await send('chat-image', 'A message with an image', chat, {
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }],
  });
  await send('completion', 'Two prompts, each with its text', completions, {
    prompt: ['The old pond', 'A frog'],
    max_tokens: 8,
    seed: 42,
    echo: true,
  });
  await send('completion-ids', 'Ids of tokens, and the most likely tokens', completions, {
    prompt: [10, 20, 30],
    max_tokens: 3,
    temperature: 0,
    logprobs: 2,
  });
  await send('completion-stream', 'A stream', completions, {
    prompt: 'The sea',
    max_tokens: 4,
    seed: 42,
    stream: true,
  });
  await send('completion-suffix', 'A field that is refused by name', completions, { prompt: 'The sea', suffix: 'end' });
  await worker.record('models', 'The list', 'GET', '/v1/models');
  await worker.record('model', 'The model by its name', 'GET', '/v1/models/haiku');
  await worker.record('model-unknown', 'Another name', 'GET', '/v1/models/gpt-4o');
}

/** OpenAI's Responses API: documents, streams with each kind of end, refusals. */
async function recordResponses(worker: Recorder): Promise<void> {
  const send = (name: string, about: string, body: object) => worker.record(name, about, 'POST', '/v1/responses', body);
  const input = 'Write a haiku about the sea';
  await send('response', 'A text with seed 42', { input, instructions: 'You write haiku.', seed: 42 });
  await send('response-logprobs', 'The two most likely tokens at each position, up to a maximum of tokens', {
    input,
    temperature: 0,
    max_output_tokens: 3,
    top_logprobs: 2,
  });
  await send('response-schema', 'An output of the form of a JSON Schema', {
    input,
    text: { format: { type: 'json_schema', name: 'mood', schema: MOOD } },
  });
  await send('response-history', 'A conversation with a call and its result; a tool of the server is skipped', {
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'How is the sea?' }] },
      { type: 'function_call', call_id: 'aB3dE6gH9', name: 'look', arguments: '{"at":"sea"}' },
      { type: 'function_call_output', call_id: 'aB3dE6gH9', output: 'calm' },
    ],
    tools: [
      { type: 'function', name: 'look', parameters: { type: 'object', properties: { at: { type: 'string' } } } },
      { type: 'web_search' },
    ],
    seed: 42,
  });
  await send('response-stream', 'A stream', { input, seed: 42, stream: true });
  await send('response-narration', 'A stream with the narration of the request', {
    input,
    seed: 42,
    max_output_tokens: 4,
    stream: true,
    narration: true,
  });
  await send('response-timeout', 'A stream that ends early', { input, ...LONG_OUTPUT, stream: true, timeout_ms: 30 });
  await send('response-previous', 'A reference to a stored response', { input, previous_response_id: 'resp_1' });
}

/** A running job with one subscriber gets 15 more, which is the maximum; the next one is refused. */
async function recordFullJob(worker: Recorder, id: string): Promise<void> {
  const path = `/jobs/${id}/events`;
  const subscribers = await Promise.all(Array.from({ length: 15 }, () => worker.send('GET', path, undefined)));
  await worker.record('events-full', 'A job that has 16 subscribers', 'GET', path);
  await Promise.all(subscribers.map(({ body }) => body?.cancel()));
}

async function recordCancel(worker: Recorder): Promise<void> {
  const stream = worker.record('execute-cancelled', 'A job that is cancelled while it runs', 'POST', '/execute', {
    job_id: 'job-12',
    ...LONG,
    seed: 42,
  });
  await worker.line((line) => line.event === 'tokens.progress' && line['job_id'] === 'job-12');
  await worker.record('cancel-running', 'A running job', 'POST', '/cancel', { job_id: 'job-12' });
  await stream;
  await worker.record('cancel-finished', 'A finished job', 'POST', '/cancel', { job_id: 'job-12' });
}

/**
 * The stream begins when the prompt has been tokenized. To cancel before that takes a long prompt and several
 * tries.
 */
async function recordEarlyCancel(worker: Recorder): Promise<void> {
  const body = { job_id: 'job-early', prompt: 'sea wind '.repeat(450) };
  for (let tries = 0; tries < 50; tries += 1) {
    const answer = worker.record(
      'execute-cancelled-early',
      'A job that is cancelled while its prompt is tokenized',
      'POST',
      '/execute',
      body,
    );
    while ((await worker.send('POST', '/cancel', { job_id: 'job-early' })).status === 404);
    if ((await answer).status === 499) return;
  }
  throw new Error('no job was cancelled before its stream began: run the script again');
}

async function recordShutdown(worker: Recorder): Promise<void> {
  const running = await worker.begin({ job_id: 'job-13', ...LONG });
  await worker.record('shutdown', 'The first call', 'POST', '/shutdown');
  await worker.line((line) => line.event === 'worker.draining');
  const draining = [
    worker.record('shutdown-again', 'The second call', 'POST', '/shutdown'),
    worker.record('execute-draining', 'A job while the worker drains', 'POST', '/execute', {
      job_id: 'job-14',
      ...LONG,
    }),
    worker.record('health-draining', 'While the worker drains', 'GET', '/health'),
    worker.record('ready-draining', 'While the worker drains', 'GET', '/ready'),
  ];
  expectStatuses(await Promise.all(draining), 503);
  await running.text();
  await worker.ended();
}

/** One slot and no queue: the second job does not fit. */
async function recordFullWorker(): Promise<void> {
  const worker = await Recorder.start('--slots', '1', '--queue', '0');
  await worker.ready();
  const running = await worker.begin({ job_id: 'job-15', ...LONG });
  await worker.line((line) => line.event === 'tokens.progress' && line['job_id'] === 'job-15');
  await worker.record('execute-busy', 'The slot is busy and the queue is full', 'POST', '/execute', {
    job_id: 'job-16',
    ...LONG,
  });
  await worker.record('health-full', 'The slot is busy and the queue is full', 'GET', '/health');
  await worker.record('ready-full', 'The slot is busy and the queue is full', 'GET', '/ready');
  await worker.send('POST', '/cancel', { job_id: 'job-15' });
  await running.text();
  await worker.stop();
}

/** A worker with a pool-manager that accepts everything. */
async function recordAnnouncement(): Promise<void> {
  const manager = createServer((_, response) => response.writeHead(204).end()).listen(0, '127.0.0.1');
  await once(manager, 'listening');
  const { port } = manager.address() as AddressInfo;
  const worker = await Recorder.start('--callback-url', `http://127.0.0.1:${port}/ready`);
  await worker.line(({ event }) => event === 'callback.ready');
  await worker.record('announce', 'A worker that has reported before', 'POST', '/announce');
  await worker.stop();
  manager.close();
}

async function recordGuarded(): Promise<void> {
  const worker = await Recorder.start('--api-token', TOKEN);
  await worker.ready();
  const body = { job_id: 'job-17', prompt: 'Hello' };
  await worker.record('execute-unauthorized', 'No bearer token', 'POST', '/execute', body);
  await worker.stop();
}

/** A model whose output is scripted: reasoning and a tool call, then the answer to the result of the tool. */
async function recordTools(): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'record-'));
  const call = { name: 'look', arguments: { at: 'sea' } };
  const model = await scriptedModel(join(root, 'scripted'), {
    plain: reasoned('I know.', 'Calm.'),
    withTools: reasoned('I look.', toolCall(call.name, call.arguments)),
    afterTool: 'The sea is calm.',
  });
  const worker = await Recorder.start('--model', model);
  await worker.ready();
  const parameters = { type: 'object', properties: { at: { type: 'string' } } };
  const description = 'How a thing looks';
  const question = { role: 'user', content: 'How is the sea?' };
  const functions = { tools: [{ type: 'function', function: { name: call.name, description, parameters } }] };
  const stream = { stream: true };
  const chat = (name: string, about: string, body: object) =>
    worker.record(name, about, 'POST', '/v1/chat/completions', { ...functions, ...body });
  await chat('chat-tool-call', 'Reasoning and a tool call', { messages: [question] });
  await chat('chat-tool-stream', 'A stream with reasoning and a tool call', { messages: [question], ...stream });
  const calls = [{ id: 'aB3dE6gH9', type: 'function', function: { name: 'look', arguments: '{"at":"sea"}' } }];
  const result = { role: 'tool', tool_call_id: 'aB3dE6gH9', content: 'calm' };
  const answered = [question, { role: 'assistant', content: null, tool_calls: calls }, result];
  await chat('chat-tool-result', 'The answer to the result of a tool', { messages: answered });
  const execute = (name: string, about: string, body: object) =>
    worker.record(name, about, 'POST', '/execute', { messages: [question], ...body });
  await execute('execute-tool-call', 'Reasoning and a tool call', { job_id: 'job-20', ...functions });
  await execute('execute-tool-result', 'The answer to the result of a tool', {
    job_id: 'job-21',
    ...functions,
    messages: answered,
  });
  await execute('execute-reasoning', 'Reasoning as a part of its own', { job_id: 'job-22', parts: true });
  await worker.record('response-tool-stream', 'A stream with reasoning and a tool call', 'POST', '/v1/responses', {
    input: question.content,
    tools: [{ type: 'function', name: call.name, description, parameters }],
    ...stream,
  });
  await worker.record('messages-tool-stream', 'A stream with thinking and a tool call', 'POST', '/v1/messages', {
    max_tokens: 200,
    messages: [question],
    tools: [{ name: call.name, description, input_schema: parameters }],
    ...stream,
  });
  await worker.stop();
  rmSync(root, { recursive: true });
}

/** A worker whose exchanges are recorded. */
class Recorder {
  readonly #child;
  readonly #lines: Line[] = [];
  readonly #reader;
  readonly #ended;
  #url = '';

  private constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [CLI, '--worker-id', 'worker-gpu0-r1', '--port', '0', ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#reader = createInterface({ input: this.#child.stdout }).on('line', (text) =>
      this.#lines.push(JSON.parse(text) as Line),
    );
    this.#ended = once(this.#child, 'exit');
  }

  /** Starts a worker and waits until it listens. */
  static async start(...args: string[]): Promise<Recorder> {
    const recorder = new Recorder(args);
    recorder.#url = String((await recorder.line(({ event }) => event === 'server.bound'))['url']);
    return recorder;
  }

  /** The first line that satisfies `fits`, now or later. */
  async line(fits: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.#lines.find(fits);
      if (found) return found;
      await once(this.#reader, 'line', { signal: AbortSignal.timeout(20_000) });
    }
  }

  async ready(): Promise<void> {
    while ((await this.#request('GET', '/ready')).status !== 200) await sleep(5);
  }

  async ended(): Promise<void> {
    await this.#ended;
  }

  async stop(): Promise<void> {
    this.#child.kill();
    await this.#ended;
  }

  send(method: Method, path: string, body: unknown): Promise<Response> {
    return this.#request(method, path, body, JSON_BODY);
  }

  /** Starts a job. Resolves when its stream has begun. */
  begin(body: unknown, more: Headers = {}): Promise<Response> {
    return this.#request('POST', '/execute', body, { ...JSON_BODY, ...more });
  }

  async record(
    name: string,
    about: string,
    method: Method,
    path: string,
    body?: unknown,
    more: Headers = {},
  ): Promise<Response> {
    const id = `req-${name}`;
    const headers = { 'X-Correlation-Id': id, ...(body !== undefined && JSON_BODY), ...more };
    const before = this.#lines.length;
    const answer = await this.#request(method, path, body, headers);
    const text = await answer.text();
    const kept = KEPT_HEADERS.map((header) => [header, answer.headers.get(header)]);
    recordings.set(name, {
      about,
      request: { method, path, headers, ...(body !== undefined && { body }) },
      response: {
        status: answer.status,
        headers: Object.fromEntries(kept.filter(([, value]) => value !== null)),
        body: path === '/metrics' ? ours(text) : text,
      },
      log: () => this.#lines.slice(before).filter((line) => line['correlation_id'] === id),
    });
    return answer;
  }

  #request(method: Method, path: string, body?: unknown, headers: Headers = {}): Promise<Response> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return fetch(this.#url + path, { method, headers, ...(body !== undefined && { body: text }) });
  }
}

/** The worker's own metrics without Node's, and of the histograms only sum and count. */
function ours(metrics: string): string {
  const groups = metrics.split('\n\n').filter((group) => group.startsWith('# HELP worker_'));
  return `${groups.map((group) => group.replace(/^\w+_bucket.*\n/gm, '')).join('\n\n')}\n`;
}

function expectStatuses(answers: readonly Response[], wanted: number): void {
  const other = answers.find(({ status }) => status !== wanted);
  if (other) throw new Error(`${other.url} answered ${other.status} instead of ${wanted}: run the script again`);
}

function write(): void {
  mkdirSync(FOLDER, { recursive: true });
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.json'))) rmSync(FOLDER + file);
  for (const [name, { log, ...exchange }] of recordings) {
    writeFileSync(`${FOLDER}${name}.json`, `${JSON.stringify({ name, ...exchange, log: log() }, null, 2)}\n`);
  }
  process.stdout.write(`${recordings.size} recordings in test/recordings\n`);
}

await recordService();
await recordFullWorker();
await recordAnnouncement();
await recordGuarded();
await recordTools();
write();
