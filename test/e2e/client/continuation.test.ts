/** Runs of the client whose worker is lost: another worker goes on with the output, from ids or from its beginning. */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ConnectionError,
  type Continuation,
  DivergedError,
  JobError,
  type JobRequest,
  type Run,
  type StreamEvent,
  type TokenEvent,
  WorkerClient,
} from '../../../src/client/client.ts';
import { enginePid } from '../../support/cli.ts';
import { killAll } from '../../support/processes.ts';
import { reasoned, scriptedModel, toolCall } from '../../support/scripted-model/model.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const CEILING_MS = 120_000;
const SEA: JobRequest = { prompt: 'The sea', temperature: 1, seed: 7, max_tokens: 60, min_tokens: 60 };
const LONG: JobRequest = { ...SEA, max_tokens: 450, min_tokens: 450 };

const root = mkdtempSync(join(tmpdir(), 'continuation-'));
let worker: TestWorker;
let client: WorkerClient;
let whole: string;
beforeAll(async () => {
  worker = await startWorker();
  client = new WorkerClient({ url: worker.url });
  whole = await client.execute(SEA).text();
}, CEILING_MS);
const servers: Server[] = [];
afterAll(async () => {
  for (const server of servers) server.close();
  await killAll();
  rmSync(root, { recursive: true });
});

const tokensOf = (events: readonly StreamEvent[]): TokenEvent[] => events.filter((event) => event.type === 'token');
const textIn = (events: readonly StreamEvent[]): string =>
  tokensOf(events)
    .map(({ t }) => t)
    .join('');

/** The first events of a job, and the data to go on after them. The job is then cancelled. */
async function begun(of: WorkerClient, request: JobRequest, tokens: number) {
  const run = of.execute(request);
  const events: StreamEvent[] = [];
  for await (const event of run) {
    events.push(event);
    if (tokensOf(events).length === tokens) break;
  }
  const { continuation } = run;
  if (!continuation) throw new Error('The run has no continuation.');
  // As if it came from another process.
  return { events, continuation: JSON.parse(JSON.stringify(continuation)) as Continuation };
}

async function eventsOf(run: Run): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of run) events.push(event);
  return events;
}

/** A worker that is older than `ids` and `resume`: it ignores both, as it ignores every unknown field. */
async function olderWorker(): Promise<WorkerClient> {
  const server = createServer(async (request, response) => {
    const { ids: _, resume: __, ...body } = (await json(request).catch(() => ({}))) as Record<string, unknown>;
    const answer = await worker.post(request.url ?? '', body);
    response.writeHead(answer.status, { 'Content-Type': answer.headers.get('content-type') ?? '' });
    response.end(await answer.text());
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return new WorkerClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

describe('a run whose worker is killed', { timeout: CEILING_MS }, () => {
  test('goes on elsewhere: the text is that of one worker', async () => {
    const expected = await client.execute(LONG).text();
    for (let hit = false; !hit; ) {
      const lost = await startWorker();
      const run = new WorkerClient({ url: lost.url }).execute({ ...LONG, ids: true }, { resumeForMs: 100 });
      const pieces: string[] = [];
      const error = await (async () => {
        for await (const piece of run.answer()) {
          pieces.push(piece);
          if (pieces.length === 20) lost.process.kill('SIGKILL');
        }
        return undefined;
      })().catch((thrown: unknown) => thrown);
      hit = error !== undefined;
      if (!hit) continue;
      expect(error).toBeInstanceOf(ConnectionError);
      const { continuation } = error as ConnectionError;
      expect(continuation).toEqual(run.continuation);
      expect(continuation).toMatchObject({ index: pieces.length, seed: 7, output: [{ t: pieces.join('') }] });
      const rest = client.execute({ ...LONG, ids: true }, { continuation });
      for await (const piece of rest.answer()) pieces.push(piece);
      expect(pieces.join('')).toBe(expected);
      expect(await rest.text()).toBe(expected);
      expect(await rest.end()).toMatchObject({ tokens_out: 450, seed: 7 });
    }
  });
});

describe('a continued run', { timeout: CEILING_MS }, () => {
  test('has the events behind the first ones, with the next indices', async () => {
    const { events, continuation } = await begun(client, { ...SEA, ids: true }, 12);
    const rest = await eventsOf(client.execute({ ...SEA, ids: true }, { continuation }));
    expect(rest[0]).toMatchObject({ type: 'started', resumed_ids: continuation.resume?.token_ids.length });
    expect(textIn([...events, ...rest])).toBe(whole);
    const indices = tokensOf([...events, ...rest]).map(({ i }) => i);
    expect(indices).toEqual(indices.map((_, index) => index));
  });

  test('may be lost again, any number of times', async () => {
    const request = { ...SEA, ids: true };
    let { continuation } = await begun(client, request, 5);
    for (let lost = 0; lost < 5; lost += 1) {
      const run = client.execute(request, { continuation });
      let tokens = 0;
      for await (const { type } of run) if (type === 'token' && ++tokens === 4) break;
      expect(run.continuation?.index).toBe(continuation.index + 4);
      if (run.continuation) continuation = run.continuation;
    }
    const rest = client.execute(request, { continuation });
    expect(await rest.text()).toBe(whole);
    expect((await rest.end()).tokens_out).toBe(60);
  });

  test('has no data to go on if its caller has sent resume, so that the beginning of its output is not known', async () => {
    const { continuation } = await begun(client, { ...SEA, ids: true }, 12);
    const run = client.execute({ ...SEA, ids: true, resume: continuation.resume });
    expect(await run.text()).toBe(whole.slice(continuation.output[0]?.t.length));
    expect(run.continuation).toBeUndefined();
  });

  test('gives a value, reasoning and tool calls of the whole output', async () => {
    const script = reasoned('A tool.', toolCall('get_weather', { city: 'Łódź' }));
    const model = await scriptedModel(join(root, 'scripted'), { plain: 'A', withTools: script });
    const scripted = await startWorker({ args: ['--model', model] });
    const own = new WorkerClient({ url: scripted.url });
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } }];
    const request = {
      messages: [{ role: 'user', content: 'How warm?' }],
      tools,
      temperature: 0,
      ids: true,
    } as JobRequest;
    const undisturbed = tokensOf(await eventsOf(own.execute(request)));
    const call = { name: 'get_weather', arguments: '{"city": "Łódź"}' };
    for (const cut of [2, undisturbed.findIndex(({ part }) => part === 'tool_name') + 2, undisturbed.length - 1]) {
      const { continuation } = await begun(own, request, cut);
      const run = own.execute(request, { continuation });
      expect(await run.reasoning()).toBe('A tool.');
      const calls = await run.toolCalls();
      expect(calls).toMatchObject([{ name: call.name }]);
      expect(JSON.parse(calls[0]?.arguments ?? '')).toEqual({ city: 'Łódź' });
    }
    const schema = { type: 'array', items: { type: 'integer' }, minItems: 20, maxItems: 20 };
    const list: JobRequest = { prompt: 'Numbers', schema, temperature: 1, seed: 3, max_tokens: 400, ids: true };
    const { continuation } = await begun(client, list, 15);
    expect(await client.execute(list, { continuation }).json()).toEqual(await client.execute(list).json());
  });

  test('goes on after the error of a drain, without ids: true', async () => {
    for (let drained = false; !drained; ) {
      const leaving = await startWorker({ args: ['--shutdown-timeout', '3'] });
      const run = new WorkerClient({ url: leaving.url }).execute({ ...LONG, seed: 11 });
      const answer = run.answer();
      const first = (await answer.next()).value ?? '';
      // The job cannot end before the drain.
      process.kill(enginePid(leaving), 'SIGSTOP');
      await leaving.post('/shutdown', {});
      const pieces = [first];
      const error = await (async () => {
        for await (const piece of answer) pieces.push(piece);
      })().catch((thrown: unknown) => thrown);
      // On a busy machine the signal can come after the last token of the job.
      drained = error instanceof JobError && error.code === 'DRAINING';
      if (!(error instanceof JobError)) continue;
      const { continuation, text } = error;
      expect(text).toBe(pieces.join(''));
      const expected = await client.execute({ ...LONG, seed: 11 }).text();
      const rest = client.execute({ ...LONG, seed: 11 }, { continuation });
      for await (const event of rest) {
        if (event.type === 'started') expect(event.resumed_ids).toBe(continuation?.resume?.token_ids.length);
        if (event.type === 'token') break;
      }
      const last = client.execute({ ...LONG, seed: 11 }, { continuation: rest.continuation });
      expect(await last.text()).toBe(expected);
      expect(rest.continuation?.resume?.token_ids.length).toBeGreaterThan(continuation?.resume?.token_ids.length ?? 0);
    }
  });
});

describe('a worker that cannot resume', { timeout: CEILING_MS }, () => {
  test('because it is older generates again, and the client skips the text that its caller has', async () => {
    const older = await olderWorker();
    const { events, continuation } = await begun(client, { ...SEA, ids: true }, 12);
    const run = older.execute({ ...SEA, ids: true }, { continuation });
    const rest = await eventsOf(run);
    expect(rest[0]).not.toHaveProperty('resumed_ids');
    expect(textIn([...events, ...rest])).toBe(whole);
    const indices = tokensOf([...events, ...rest]).map(({ i }) => i);
    expect(indices).toEqual(indices.map((_, index) => index));
    expect(await run.text()).toBe(whole);
    // It told no ids, so the next worker begins again, too.
    expect(run.continuation).not.toHaveProperty('resume');
    expect(run.continuation).toMatchObject({ index: indices.length, seed: 7 });
  });

  test('because the ids come from an older worker generates again', async () => {
    const older = await olderWorker();
    const { events, continuation } = await begun(older, { ...SEA, ids: true }, 12);
    expect(continuation).not.toHaveProperty('resume');
    const run = client.execute({ ...SEA, ids: true }, { continuation });
    expect(textIn([...events, ...(await eventsOf(run))])).toBe(whole);
    // The new worker told its ids from the first one.
    const { resume } = run.continuation ?? {};
    expect(resume?.token_ids.length).toBeGreaterThanOrEqual(resume?.index ?? 0);
    const last = await eventsOf(client.execute({ ...SEA, ids: true }, { continuation: run.continuation }));
    expect(tokensOf(last)).toEqual([]);
    expect(last.at(-1)).toMatchObject({ type: 'end', tokens_out: 60 });
  });

  test('because it has another fingerprint refuses, and generates again at once', async () => {
    const { events, continuation } = await begun(client, { ...SEA, ids: true }, 12);
    const { resume } = continuation;
    if (!resume) throw new Error('The worker told no ids.');
    const foreign = { ...continuation, resume: { ...resume, fingerprint: 'of another version' } };
    const rest = await eventsOf(client.execute({ ...SEA, ids: true }, { continuation: foreign }));
    expect(rest[0]).not.toHaveProperty('resumed_ids');
    expect(textIn([...events, ...rest])).toBe(whole);
  });

  test('and generates another text ends the run, and its job', async () => {
    const { continuation } = await begun(client, { ...SEA, ids: true }, 12);
    const { resume: _, ...rest } = continuation;
    const changed = { ...rest, output: [{ t: `${whole.slice(0, 8)}\u2603` }] };
    const run = client.execute({ ...LONG, job_id: 'diverged' }, { continuation: changed });
    const error = await run.text().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DivergedError);
    expect(error).toMatchObject({ code: 'DIVERGED', retry: 'never' });
    await worker.line('request.cancelled', (line) => line['job_id'] === 'diverged');
  });
});
