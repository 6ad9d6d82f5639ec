/** The requests of a scene to the routes of other servers' dialects. */
import type { TestWorker } from '../support/worker.ts';
import { isDialect } from './dialects.ts';
import { operations } from './document.ts';

type Send = (
  path: string,
  options: { readonly body: object; readonly headers?: Record<string, string> },
) => Promise<{ readonly response: { readonly status: number } }>;

const SEA = 'Write about the sea';
const MESSAGES = [{ role: 'user', content: SEA }];
/** Valid bodies of the `POST` routes. */
const BODIES: Readonly<Record<string, object>> = {
  '/v1/chat/completions': { messages: MESSAGES, max_tokens: 8 },
  '/v1/completions': { prompt: SEA, max_tokens: 8 },
  '/v1/responses': { input: SEA, max_output_tokens: 8 },
  '/v1/messages': { messages: MESSAGES, max_tokens: 8 },
  '/v1/messages/count_tokens': { messages: MESSAGES },
  '/tokenize': { prompt: SEA },
  '/detokenize': { tokens: [1, 2] },
};
/** The routes that run a job, each with a body of a job that takes long. */
const LONG_JOBS: Readonly<Record<string, object>> = {
  '/v1/chat/completions': { messages: MESSAGES, min_tokens: 480 },
  '/v1/completions': { prompt: SEA, min_tokens: 480, max_tokens: 480 },
  '/v1/responses': { input: SEA, min_tokens: 480 },
  '/v1/messages': { messages: MESSAGES, min_tokens: 480, max_tokens: 480 },
};
const TOOL = { name: 'weather', description: 'Weather of a city', parameters: { type: 'object', properties: {} } };

/** A valid request to each route. */
export function dialectRequests(): { readonly method: string; readonly path: string; readonly body?: object }[] {
  return operations()
    .filter(({ path }) => isDialect(path))
    .map(({ method, path }) => ({ method, path, ...(BODIES[path] && { body: BODIES[path] }) }));
}

/** Answers, streams and failures of every route of a worker with the embedded model. */
export async function playDialects(worker: TestWorker, send: Send): Promise<void> {
  for (const [path, body] of Object.entries(BODIES)) {
    await send(path, { body });
    await send(path, { body: { ...body, max_tokens: 'many', prompt: 5, input: 5, messages: 5, tokens: 5 } });
  }
  const stream = { stream: true };
  for (const [path, body] of Object.entries(LONG_JOBS)) {
    await send(path, { body: { ...BODIES[path], ...stream }, headers: { 'X-Narration': 'on' } });
    await send(path, { body: { ...body, timeout_ms: 60 } });
    await send(path, { body: { ...body, ...stream, timeout_ms: 60 } });
    await cancelled(worker, send, path);
  }
  const tools = [{ type: 'function', function: TOOL }];
  const required = { messages: MESSAGES, tools, tool_choice: 'required', max_tokens: 100_000 };
  await send('/v1/chat/completions', { body: required });
  // One token is no call and no object: the output cannot be parsed, and does not have the demanded form.
  await send('/v1/chat/completions', { body: { ...required, max_tokens: 1 } });
  const demanded = { messages: MESSAGES, response_format: { type: 'json_object' }, max_tokens: 1 };
  await send('/v1/chat/completions', { body: demanded });
}

/** A job that is cancelled while its client waits for the document. A fast machine can end the job first. */
async function cancelled(worker: TestWorker, send: Send, path: string): Promise<void> {
  for (let tries = 0; tries < 20; tries += 1) {
    const answer = send(path, { body: LONG_JOBS[path] ?? {} });
    const job_id = await runningJob(worker);
    await worker.post('/cancel', { job_id });
    if ((await answer).response.status === 499) return;
  }
}

/** Id of the only running job, as soon as there is one. */
async function runningJob(worker: TestWorker): Promise<string> {
  for (;;) {
    const { jobs } = (await (await worker.get('/jobs?state=running')).json()) as { jobs: { job_id: string }[] };
    const [first] = jobs;
    if (first) return first.job_id;
  }
}
