/**
 * Runs real workers and provokes every answer and event that a caller can provoke. Records all exchanges.
 */
import { connect } from 'node:net';
import { messagesIn } from '../../src/client/sse.ts';
import type { ReadyNotice } from '../../src/contract/callback.ts';
import { bodyLimit } from '../../src/http/server.ts';
import { enginePid } from '../support/cli.ts';
import { PoolManager } from '../support/pool-manager.ts';
import { type LogLine, startWorker, type TestWorker, type WorkerOptions } from '../support/worker.ts';
import { isDialect } from './dialects.ts';
import { type Exchange, operations } from './document.ts';
import { dialectRequests, playDialects } from './scene-dialects.ts';

interface SendOptions {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}
export type RecordedExchange = Exchange & { readonly sentHeaders: Record<string, string> };

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const LONG = { prompt: 'Write about the sea', min_tokens: 480 };
const SSE = { Accept: 'text/event-stream' };

export class Scene {
  readonly exchanges: RecordedExchange[] = [];
  /** The bodies of the ready callbacks. */
  readonly callbacks: ReadyNotice[] = [];
  readonly lines: LogLine[] = [];
  readonly #workers: TestWorker[] = [];
  #sent = 0;

  /** Plays all parts. All workers have ended when the promise resolves or rejects. */
  async play(): Promise<void> {
    try {
      await Promise.all([this.#mainWorker(), this.#narrowWorker()]);
      await this.#guardedWorker();
      await this.#lostEngine();
      await this.#stalledEngine();
      await this.#unconfirmedDrain();
    } finally {
      await Promise.all(this.#workers.map((worker) => worker.kill()));
      this.lines.push(...this.#workers.flatMap((worker) => worker.lines));
    }
  }

  async #start(options: WorkerOptions = {}): Promise<TestWorker> {
    const worker = await startWorker(options);
    this.#workers.push(worker);
    return worker;
  }

  /** Sends one request with a new correlation id, and records the exchange. */
  async #send(
    worker: TestWorker,
    method: string,
    path: string,
    { body, headers = {} }: SendOptions = {},
  ): Promise<RecordedExchange> {
    this.#sent += 1;
    const sentHeaders: Record<string, string> = {
      'X-Correlation-Id': `req-${this.#sent}`,
      traceparent: TRACE,
      ...headers,
    };
    if (body !== undefined) sentHeaders['Content-Type'] ??= 'application/json';
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await fetch(worker.url + path, {
      method,
      headers: sentHeaders,
      ...(text !== undefined && { body: text }),
    });
    const response = {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: await answer.text(),
    };
    const recorded = { sentHeaders, request: { method, path, body }, response };
    this.exchanges.push(recorded);
    return recorded;
  }

  #execute(worker: TestWorker, body: unknown, headers: Record<string, string> = {}): Promise<RecordedExchange> {
    return this.#send(worker, 'POST', '/execute', { body, headers });
  }

  /** One worker, from its start to its shutdown. */
  async #mainWorker(): Promise<void> {
    const worker = await this.#start({ early: true });
    await Promise.all([
      this.#send(worker, 'GET', '/health'),
      this.#send(worker, 'GET', '/ready'),
      this.#execute(worker, { job_id: 'early', ...LONG }),
      this.#everyDialect(worker),
    ]);
    await worker.line('warmup.done');
    while ((await worker.get('/ready')).status !== 200);
    await this.#everyGet(worker);
    await this.#everyBrokenRequest(worker);
    await this.#send(worker, 'POST', '/announce');
    await this.#announcement();
    await this.#jobs(worker);
    await this.#refusals(worker);
    await this.#replays(worker);
    await this.#manySubscribers(worker);
    await this.#stops(worker);
    await this.#earlyCancel(worker);
    await playDialects(worker, (path, options) => this.#send(worker, 'POST', path, options));
    await this.#shutdown(worker);
  }

  /** One request to each route of a dialect: all get the same status, for example while the model loads. */
  async #everyDialect(worker: TestWorker): Promise<void> {
    await Promise.all(
      dialectRequests().map(({ method, path, body }) =>
        this.#send(worker, method, path, body === undefined ? {} : { body }),
      ),
    );
  }

  async #everyGet(worker: TestWorker): Promise<void> {
    for (const { path } of operations().filter(({ method }) => method === 'GET')) await this.#send(worker, 'GET', path);
    await this.#send(worker, 'GET', '/v1/models/haiku');
    for (const query of ['?limit=0', '?state=late', '?limit=1&state=finished'])
      await this.#send(worker, 'GET', `/jobs${query}`);
    for (const path of ['/openapi.yaml', '/openapi.json']) {
      const etag = (await worker.get(path)).headers.get('etag') ?? '';
      await this.#send(worker, 'GET', path, { headers: { 'If-None-Match': etag } });
    }
  }

  /** Malformed HTTP on every path, and bodies that no `POST` accepts. */
  async #everyBrokenRequest(worker: TestWorker): Promise<void> {
    for (const { method, path } of operations()) {
      // Node's parser refuses a line without a colon, before the worker knows the path: the answer is native.
      const malformed = isDialect(path) ? 'Host: 127.0.0.1\r\nHost: 127.0.0.1' : 'Host: 127.0.0.1\r\nno colon here';
      for (const header of [malformed, 'Host: rebound.example']) {
        const response = await onSocket(worker, method, path, header);
        this.exchanges.push({ sentHeaders: {}, request: { method, path }, response });
      }
      if (method !== 'POST') continue;
      await this.#send(worker, method, path, { body: '{"job_id":' });
      await this.#send(worker, method, path, { body: '{}', headers: { Origin: 'https://other.example' } });
      await this.#send(worker, method, path, { body: 'x', headers: { 'Content-Type': 'text/plain' } });
      await this.#send(worker, method, path, {
        body: JSON.stringify({ job_id: 'x', prompt: 'x'.repeat(bodyLimit('auto')) }),
      });
    }
  }

  async #jobs(worker: TestWorker): Promise<void> {
    const prompt = 'Write a haiku about the sea';
    await this.#execute(worker, { job_id: 'plain', prompt });
    await this.#execute(worker, { job_id: 'raw', prompt: 'The sea', raw: true, seed: 0, max_tokens: 20, top_k: 5 });
    await this.#execute(worker, {
      job_id: 'greedy',
      prompt,
      temperature: 0,
      logprobs: 20,
      min_tokens: 60,
      max_tokens: 60,
    });
    await this.#execute(worker, { job_id: 'narrow', prompt, seed: 1, logprobs: 20, top_k: 2, top_p: 0.5, min_p: 0.2 });
    await this.#execute(worker, { job_id: 'stop', prompt, seed: 42, stop: ['\n', '.'], max_token: 3 });
    const messages = ['system', 'user', 'assistant', 'user'].map((role) => ({ role, content: 'A frog — 蛙 🐸' }));
    await this.#execute(worker, { job_id: 'chat', messages, repetition_penalty: 1.2, frequency_penalty: 1 });
    await this.#execute(
      worker,
      { job_id: 'penalised', prompt, presence_penalty: -2, logprobs: 0, max_tokens: 40 },
      SSE,
    );
    await this.#execute(worker, { job_id: 'long', prompt: 'sea and wind and rain '.repeat(70), max_tokens: 5 });
    await this.#continued(worker);
    await this.#execute(worker, { job_id: 'odd id 🐸 "\\', prompt }, { 'X-Correlation-Id': 'not fit!' });
  }

  /** A job with ids, and another one that continues its output. */
  async #continued(worker: TestWorker): Promise<void> {
    const body = { prompt: 'The sea', seed: 7, max_tokens: 20, min_tokens: 20 };
    const { response } = await this.#execute(worker, { job_id: 'with-ids', ids: true, ...body });
    const told = messagesIn(response.body).map(({ data }) => JSON.parse(data) as Record<string, unknown>);
    const tokens = told.filter(({ type }) => type === 'token').slice(0, 10);
    const resume = {
      token_ids: tokens.flatMap(({ ids = [] }) => ids as number[]),
      index: tokens.length,
      fingerprint: told[0]?.['fingerprint'],
    };
    await this.#execute(worker, { job_id: 'continued', ids: true, ...body, resume });
    await this.#execute(worker, { job_id: 'refused', ...body, resume: { ...resume, index: 400 } });
  }

  async #refusals(worker: TestWorker): Promise<void> {
    const worst = {
      job_id: '',
      prompt: 5,
      messages: [],
      seed: -1,
      stop: [''],
      logprobs: 'x',
      raw: 1,
      temperature: 1e9,
    };
    for (const headers of [{}, SSE]) {
      await this.#execute(worker, worst, headers);
      await this.#execute(worker, '[]', headers);
      await this.#execute(worker, '', headers);
      await this.#execute(worker, { job_id: 'late', ...LONG }, { ...headers, 'X-Deadline': 'tomorrow' });
    }
    await this.#execute(worker, { job_id: 'late', ...LONG }, { 'X-Deadline': '1' });
    await this.#execute(worker, { job_id: 'much', prompt: 'sea '.repeat(600) });
    await this.#send(worker, 'POST', '/cancel', { body: {} });
    await this.#send(worker, 'POST', '/cancel', { body: { job_id: 'never-here' } });
  }

  /** Every way to read a stream again, and a job that continues without its client. */
  async #replays(worker: TestWorker): Promise<void> {
    const { sentHeaders, response } = await this.#execute(worker, {
      job_id: 'again',
      prompt: 'The sea',
      max_tokens: 30,
    });
    const last = response.body.match(/^id: /gm)?.length ?? 0;
    const headers = { 'X-Correlation-Id': sentHeaders['X-Correlation-Id'] ?? '' };
    const events = (job: string) => `/jobs/${job}/events`;
    const run = response.headers['x-run-id'];
    const queries = ['', '?after=5', `?after=${run}-5`, `?after=${run}-${last - 1}`, `?after=${last + 5}`, '?after=x'];
    for (const query of [...queries, `?after=5&run_id=${run}`, '?after=5&run_id=another', '?run_id=-'])
      await this.#send(worker, 'GET', `${events('again')}${query}`, { headers });
    await this.#send(worker, 'GET', events('never-here'));
    await this.#send(worker, 'GET', events('much'));
    await this.#send(worker, 'GET', events('again'), { headers: { 'Sec-Fetch-Site': 'cross-site' } });
    const client = new AbortController();
    const body = { job_id: 'alone', ...LONG, on_disconnect: 'continue' };
    await worker.post('/execute', body, headers, client.signal);
    client.abort();
    await worker.line('reader.detached');
    await this.#send(worker, 'GET', events('alone'), { headers });
  }

  /** A job with 16 subscribers: the next one is refused. */
  async #manySubscribers(worker: TestWorker): Promise<void> {
    const leaving = new AbortController();
    const path = '/jobs/crowded/events';
    await worker.post('/execute', { job_id: 'crowded', ...LONG }, {}, leaving.signal);
    await Promise.all(Array.from({ length: 15 }, () => fetch(worker.url + path, { signal: leaving.signal })));
    await this.#send(worker, 'GET', path);
    leaving.abort();
    await worker.line('reader.left', (line) => line['job_id'] === 'crowded');
  }

  async #stops(worker: TestWorker): Promise<void> {
    await this.#execute(worker, { job_id: 'brief', ...LONG, timeout_ms: 60 });
    const running = this.#execute(worker, { job_id: 'cancel-me', ...LONG });
    await worker.line('tokens.progress', (line) => line['job_id'] === 'cancel-me');
    await this.#execute(worker, { job_id: 'cancel-me', ...LONG });
    await this.#send(worker, 'POST', '/cancel', { body: { job_id: 'cancel-me' } });
    await running;
    await this.#send(worker, 'POST', '/cancel', { body: { job_id: 'cancel-me' } });
    const client = new AbortController();
    await worker.post('/execute', { job_id: 'unread', ...LONG }, {}, client.signal);
    client.abort();
    await worker.line('reader.left', (line) => line['job_id'] === 'unread');
  }

  /** A job cancelled during the tokenization, before its stream begins. */
  async #earlyCancel(worker: TestWorker): Promise<void> {
    for (let tries = 0; tries < 20; tries += 1) {
      const job_id = `early-${tries}`;
      const answer = this.#execute(worker, { job_id, prompt: 'sea wind '.repeat(450) });
      while ((await worker.post('/cancel', { job_id })).status === 404);
      if ((await answer).response.status === 499) return;
    }
  }

  async #shutdown(worker: TestWorker): Promise<void> {
    const last = ['one', 'two', 'three'].map((job_id) => this.#execute(worker, { job_id, ...LONG }));
    await worker.line('tokens.progress', (line) => line['job_id'] === 'three');
    await this.#send(worker, 'POST', '/shutdown');
    await worker.line('worker.draining');
    await Promise.all([
      this.#send(worker, 'POST', '/shutdown'),
      this.#send(worker, 'POST', '/announce'),
      this.#send(worker, 'GET', '/health'),
      this.#send(worker, 'GET', '/ready'),
      this.#execute(worker, { job_id: 'too-late', ...LONG }),
      ...last,
    ]);
    await worker.exited;
  }

  /** A worker with a pool-manager. */
  async #announcement(): Promise<void> {
    const manager = await PoolManager.start(204);
    const worker = await this.#start({ args: ['--callback-url', manager.url] });
    await manager.called(1);
    await this.#send(worker, 'POST', '/announce');
    await manager.called(2);
    await worker.stop();
    await manager.close();
    this.callbacks.push(...manager.calls.map(({ body }) => body));
  }

  /** One slot and a queue of two: jobs wait, move up and are refused. */
  async #narrowWorker(): Promise<void> {
    const worker = await this.#start({ args: ['--slots', '1', '--queue', '2', '--narration', 'human'] });
    const first = this.#execute(worker, { job_id: 'first', ...LONG });
    await worker.line('tokens.progress', (line) => line['job_id'] === 'first');
    const waiting = ['second', 'third'].map((job_id) => this.#execute(worker, { job_id, prompt: 'Hello' }));
    await worker.line('request.queued', (line) => line['queue_position'] === 2);
    await this.#execute(worker, { job_id: 'fourth', ...LONG });
    await Promise.all([first, ...waiting]);
  }

  async #guardedWorker(): Promise<void> {
    const token = 'a-token-of-the-test';
    const worker = await this.#start({ args: ['--api-token', token] });
    for (const { method, path } of operations()) {
      await this.#send(worker, method, path, { headers: { Authorization: 'Bearer another-token' } });
    }
    await this.#send(worker, 'GET', '/health', { headers: { Authorization: `Bearer ${token}` } });
  }

  /** An engine that does not answer a cancel, then dies with one running and one queued job. */
  async #lostEngine(): Promise<void> {
    const worker = await this.#start({ args: ['--slots', '1', '--on-engine-loss', 'fail'] });
    const unconfirmed = this.#execute(worker, { job_id: 'unconfirmed', ...LONG });
    await worker.line('tokens.progress');
    const engine = enginePid(worker);
    process.kill(engine, 'SIGSTOP');
    await this.#send(worker, 'POST', '/cancel', { body: { job_id: 'unconfirmed' } });
    await unconfirmed;
    process.kill(engine, 'SIGCONT');
    const running = this.#execute(worker, { job_id: 'bereft', ...LONG });
    await worker.line('tokens.progress', (line) => line['job_id'] === 'bereft');
    const waiting = this.#execute(worker, { job_id: 'patient', prompt: 'Hello' });
    await worker.line('request.queued', (line) => line['job_id'] === 'patient');
    process.kill(engine, 'SIGKILL');
    await worker.line('engine.lost');
    await Promise.all([
      this.#send(worker, 'GET', '/health'),
      this.#send(worker, 'GET', '/ready'),
      this.#execute(worker, { job_id: 'unlucky', ...LONG }),
      running,
      waiting,
    ]);
  }

  /** An engine that is silent for a while, then continues, and is lost in the middle of another job. */
  async #stalledEngine(): Promise<void> {
    const worker = await this.#start({ args: ['--slots', '1', '--stall-after', '1'] });
    const running = this.#execute(worker, { job_id: 'delayed', ...LONG });
    await worker.line('tokens.progress');
    const engine = enginePid(worker);
    process.kill(engine, 'SIGSTOP');
    await worker.line('request.stalled');
    for (const path of ['/health', '/ready', '/live', '/metrics']) await this.#send(worker, 'GET', path);
    await this.#execute(worker, { job_id: 'refused', ...LONG });
    process.kill(engine, 'SIGCONT');
    await running;
    const interrupted = this.#execute(worker, { job_id: 'interrupted', ...LONG });
    await worker.line('tokens.progress', (line) => line['job_id'] === 'interrupted');
    process.kill(engine, 'SIGKILL');
    await interrupted;
  }

  /**
   * An engine that does not respond during the drain: the jobs end at the deadline without its confirmation.
   */
  async #unconfirmedDrain(): Promise<void> {
    const worker = await this.#start({ args: ['--slots', '2', '--shutdown-timeout', '4'] });
    const jobs = ['one', 'two'].map((job_id) => this.#execute(worker, { job_id, ...LONG }));
    await worker.line('tokens.progress');
    process.kill(enginePid(worker), 'SIGSTOP');
    await this.#send(worker, 'POST', '/shutdown');
    await Promise.all(jobs);
    await worker.exited;
  }
}

/** Sends header lines that `fetch` cannot send: one without a colon, the Host of another machine. */
async function onSocket(
  worker: TestWorker,
  method: string,
  path: string,
  lines: string,
): Promise<Exchange['response']> {
  const { hostname, port } = new URL(worker.url);
  const socket = connect(Number(port), hostname);
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines}\r\nConnection: close\r\n\r\n`);
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const [first = '', ...rest] = head.split('\r\n');
  const headers = rest.map((line) => [line.split(': ')[0]?.toLowerCase() ?? '', line.split(': ')[1] ?? ''] as const);
  return { status: Number(first.split(' ')[1]), headers: Object.fromEntries(headers), body };
}
