/** The client on a real worker: helpers of a run, other readers, health, jobs, metrics. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JobError, readEvents, WorkerClient } from '../../../src/client/client.ts';
import { reasoned, scriptedModel, toolCall } from '../../support/scripted-model/model.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const HAIKU = { prompt: 'Write a haiku about the sea', max_tokens: 40, seed: 42, temperature: 1 };
const CITY = { city: 'Łódź' };
const ANSWER = 'Just words, zażółć 🐝 👩‍👩‍👧.';
const SCRIPTS = {
  plain: reasoned('Plain thought.', ANSWER),
  withTools: reasoned('A tool.', `${toolCall('get_weather', CITY)}\n${toolCall('get_time', { zone: 'CET' })}`),
  afterTool: 'It is 7 °C.',
};
const TOOLS = [
  { type: 'function' as const, function: { name: 'get_weather', parameters: { type: 'object' } } },
  { type: 'function' as const, function: { name: 'get_time', parameters: { type: 'object' } } },
];

const root = mkdtempSync(join(tmpdir(), 'client-'));
let worker: TestWorker;
let scripted: TestWorker;
let client: WorkerClient;
beforeAll(async () => {
  const folder = await scriptedModel(join(root, 'scripted'), SCRIPTS);
  [worker, scripted] = await Promise.all([startWorker(), startWorker({ args: ['--model', folder] })]);
  client = new WorkerClient({ url: worker.url });
});
afterAll(async () => {
  await Promise.all([worker.stop(), scripted.stop()]);
  rmSync(root, { recursive: true });
});

describe('a run', () => {
  test('gives its text, narration and figures to several readers, each from the first event', async () => {
    const run = client.execute(HAIKU, { correlationId: 'req-client' });
    const pieces: string[] = [];
    const stories: string[] = [];
    const [text, end] = await Promise.all([
      run.text(),
      run.end(),
      (async () => {
        for await (const piece of run.answer()) pieces.push(piece);
      })(),
      (async () => {
        for await (const { event, correlation_id } of run.narration()) stories.push(`${event} ${correlation_id}`);
      })(),
    ]);
    expect(pieces.join('')).toBe(text);
    expect(end.tokens_out).toBeGreaterThan(5);
    expect(stories).toEqual(expect.arrayContaining(['request.validated req-client', 'inference.complete req-client']));
    expect(run.correlationId).toBe('req-client');
    // A reader that comes after the end reads everything too.
    const types: string[] = [];
    for await (const { type } of run) types.push(type);
    expect([types[0], types.at(-1)]).toEqual(['started', 'end']);
    expect(await client.execute({ ...HAIKU, job_id: 'again' }).text()).toBe(text);
  });

  test('gives JSON for a schema, and a SyntaxError for JSON that is cut', async () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'integer' } },
      required: ['a'],
      additionalProperties: false,
    };
    const value = await client.execute({ prompt: 'x', schema, max_tokens: 200, temperature: 0 }).json<{ a: number }>();
    expect(Number.isInteger(value.a)).toBe(true);
    const cut = client.execute({ prompt: 'x', schema, max_tokens: 1 });
    await expect(cut.json()).rejects.toBeInstanceOf(SyntaxError);
  });

  test('throws the error of its job with the text so far', async () => {
    const run = client.execute({ ...HAIKU, min_tokens: 400, max_tokens: 400 });
    let seen = '';
    const reading = (async () => {
      for await (const piece of run.answer()) {
        seen += piece;
        if (seen.length > 20) await run.cancel();
      }
    })();
    const error = await reading.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(JobError);
    expect(error).toMatchObject({ code: 'CANCELLED', text: seen, correlationId: run.correlationId });
    await expect(run.json()).rejects.toBeInstanceOf(JobError);
    await expect(run.end()).rejects.toBeInstanceOf(JobError);
  });

  test('of another client continues after the event of the first', async () => {
    const first = client.execute({ ...HAIKU, job_id: 'moves', on_disconnect: 'continue' });
    let text = '';
    for await (const event of first) {
      if (event.type === 'token') text += event.t;
      if (event.type === 'token' && event.i === 5) break;
    }
    const second = new WorkerClient({ url: worker.url }).attach('moves', { after: first.lastEventId });
    const rest = await second.text();
    expect(text + rest).toBe(await client.attach('moves').text());
    // Nothing is left to read: the worker answers 204.
    const nothing = client.attach('moves', { after: second.lastEventId });
    for await (const event of nothing) throw new Error(`an event too many: ${event.type}`);
    await expect(client.attach('moves', { after: second.lastEventId }).text()).rejects.toThrow(/has no event `end`/);
  });
});

describe('a chat', () => {
  const ask = (content: string, more: object = {}) =>
    new WorkerClient({ url: scripted.url }).chat([{ role: 'user', content }], { max_tokens: 2000, ...more });

  test('separates the answer from the reasoning', async () => {
    const run = ask('How are you?');
    expect(await run.text()).toBe(ANSWER);
    expect((await run.reasoning()).trim()).toBe('Plain thought.');
    expect(await run.toolCalls()).toEqual([]);
  });

  test('gives the calls of tools, and takes their results', async () => {
    const run = ask('How warm is it?', { tools: TOOLS });
    const calls = await run.toolCalls();
    expect(calls.map(({ name, arguments: json }) => [name, JSON.parse(json)])).toEqual([
      ['get_weather', CITY],
      ['get_time', { zone: 'CET' }],
    ]);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(2);
    expect((await run.text()).trim()).toBe('');
    expect((await run.reasoning()).trim()).toBe('A tool.');
    const messages = [
      { role: 'user' as const, content: 'How warm is it?' },
      {
        role: 'assistant' as const,
        tool_calls: calls.map(({ id, name, arguments: json }) => ({
          id,
          type: 'function' as const,
          function: { name, arguments: json },
        })),
      },
      ...calls.map(({ id }) => ({ role: 'tool' as const, content: '7', tool_call_id: id })),
    ];
    const after = new WorkerClient({ url: scripted.url }).chat(messages, { tools: TOOLS, max_tokens: 2000 });
    expect(await after.text()).toBe(SCRIPTS.afterTool);
  });
});

describe('a client', () => {
  test('reads health, jobs and metrics', async () => {
    await client.execute({ ...HAIKU, job_id: 'listed' }).end();
    expect(await client.health()).toMatchObject({ status: 'healthy', slots: { busy: 0 }, accepting: true });
    const { jobs, totals } = await client.jobs({ state: 'finished', limit: 1 });
    expect(jobs).toHaveLength(1);
    expect(totals.running).toBe(0);
    expect(await client.cancel('listed')).toEqual({ job_id: 'listed', status: 'finished' });
    expect(await client.metrics()).toMatch(/^worker_requests_total\{outcome="success"\} \d+$/m);
  });

  test('reads the health of a worker that does not serve', async () => {
    const early = await startWorker({ early: true });
    const started = await new WorkerClient({ url: early.url }).health();
    expect(['starting', 'healthy']).toContain(started.status);
    await early.stop();
  });

  test('uses another fetch, and a path in front of the routes', async () => {
    const proxy = await prefixProxy(worker.url);
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/workers/one/`;
    const other = new WorkerClient({ url, fetch: undiciFetch as unknown as typeof fetch });
    expect((await other.health()).worker_id).toBe((await client.health()).worker_id);
    expect(await other.execute(HAIKU).text()).toBe(await client.execute(HAIKU).text());
    proxy.closeAllConnections();
    proxy.close();
  });

  test('leaves the parsing of an own request to readEvents', async () => {
    const response = await worker.post('/execute', { ...HAIKU, job_id: 'own-request' });
    const types: string[] = [];
    for await (const { data, event } of readEvents(response)) {
      expect(event).toBe(data.type);
      types.push(data.type);
    }
    expect(types.at(-1)).toBe('end');
  });
});

/** Passes requests on without `/workers/one` in front of their path. Others get 404 from the proxy itself. */
async function prefixProxy(to: string): Promise<Server> {
  const server = createServer((incoming, outgoing) => {
    const path = /^\/workers\/one(\/.*)$/.exec(incoming.url ?? '')?.[1];
    if (path === undefined) {
      outgoing.writeHead(404).end('not here');
      return;
    }
    const { method = 'GET', headers } = incoming;
    incoming.pipe(
      request(new URL(path, to), { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
