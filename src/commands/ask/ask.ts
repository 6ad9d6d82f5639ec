/**
 * `rbees-workerd ask "<prompt>"`: starts a real worker process on a free port, sends it one request, shows what its user would see.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { v7 as uuid } from 'uuid';
import { ConfigError, readConfig } from '../../config/config.ts';
import type { TerminalView } from './terminal-view.ts';

interface Line {
  readonly event: string;
  readonly level: string;
  readonly human: string;
  readonly url?: string;
}

/** One event of the stream, as far as the view needs it. */
type StreamEvent =
  | { readonly type: 'narration'; readonly human: string; readonly cute?: string }
  | { readonly type: 'token'; readonly t: string }
  | {
      readonly type: 'end';
      readonly tokens_out: number;
      readonly time_to_first_token_ms: number;
      readonly seed: number;
      readonly stop_reason: string;
    }
  | { readonly type: 'error'; readonly code: string; readonly message: string }
  | { readonly type: 'started' | 'metrics' };

/**
 * Runs the command; `args` are the prompt and settings for the worker. Resolves with the exit code.
 * @throws ConfigError when there is no prompt, or a setting is bad.
 */
export async function ask(args: readonly string[], cli: URL): Promise<number> {
  const [prompt, ...settings] = args;
  if (prompt === undefined || prompt.startsWith('--'))
    throw new ConfigError('ask needs a prompt: ask "Write a haiku about the sea"');
  const { apiToken } = readConfig(settings);
  const worker = spawn(
    process.execPath,
    [
      fileURLToPath(cli),
      'serve',
      ...settings,
      '--port',
      '0',
      '--log-format',
      'json',
      '--log-level',
      'info',
      '--callback-url',
      'none',
    ],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  try {
    // Loading the view takes tens of milliseconds (string-width), so it happens while the worker starts.
    const [view, url] = await Promise.all([import('./terminal-view.ts'), readyUrl(worker)]);
    return await show(await post(url, prompt, apiToken), new view.TerminalView(process.stdout));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return 1;
  } finally {
    await stop(worker);
  }
}

/** Where the worker listens, once it serves. @throws Error with the worker's own last words when it ends before that. */
async function readyUrl(worker: ChildProcess): Promise<string> {
  let url = '';
  let complaint = 'The worker ended before it was ready.';
  if (!worker.stdout) throw new Error('The worker has no standard output.');
  const lines = createInterface({ input: worker.stdout });
  try {
    for await (const text of lines) {
      const line = JSON.parse(text) as Line;
      if (line.event === 'server.bound') url = line.url ?? '';
      if (line.level === 'FATAL') complaint = line.human;
      if (line.event === 'warmup.done') return url;
    }
    throw new Error(complaint);
  } finally {
    worker.stdout.resume(); // nobody reads the rest, and the worker must not wait for it
  }
}

async function post(url: string, prompt: string, apiToken: string | undefined): Promise<Response> {
  const response = await fetch(`${url}/execute`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'text/event-stream',
      ...(apiToken !== undefined && { Authorization: `Bearer ${apiToken}` }),
    },
    body: JSON.stringify({ job_id: `ask-${uuid().slice(-8)}`, prompt }),
  });
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  if (isStream) return response;
  const { error } = (await response.json()) as { error: { message: string } };
  throw new Error(error.message);
}

async function show(response: Response, view: TerminalView): Promise<number> {
  if (!response.body) throw new Error('The worker answered without a stream.');
  for await (const message of response.body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())) {
    const event = JSON.parse(message.data) as StreamEvent;
    if (event.type === 'narration') view.narration(event.human, event.cute);
    if (event.type === 'token') view.token(event.t);
    if (event.type === 'end') {
      const first = Math.round(event.time_to_first_token_ms);
      view.end(
        `${event.tokens_out} tokens, the first after ${first} ms, seed ${event.seed}, ended by ${event.stop_reason}`,
      );
      return 0;
    }
    if (event.type === 'error') {
      view.end(`${event.code}: ${event.message}`);
      return 1;
    }
  }
  view.end('The stream ended without its last event.');
  return 1;
}

async function stop(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const gone = once(worker, 'exit');
  worker.kill('SIGTERM');
  await gone;
}
