/** The client behind a proxy that breaks connections: every event arrives once, from one job. */
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ConnectionError, type Run, type StreamEvent, WorkerClient } from '../../../src/client/client.ts';
import { parseEventId } from '../../../src/contract/event-ids.ts';
import { type Faults, FaultyProxy } from '../../support/client/faulty-proxy.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const JOB = { prompt: 'The sea', temperature: 1, seed: 7, max_tokens: 60, min_tokens: 60 };
/** More bytes than the answer of the job has. */
const ANSWER_BYTES = 12_000;
/** Bytes that are the head of an answer and a part of the first events. */
const SOME_EVENTS = 1500;

let worker: TestWorker;
let expected: string;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '4'] });
  expected = await new WorkerClient({ url: worker.url }).execute(JOB).text();
});
afterAll(() => worker.stop());

const proxies: FaultyProxy[] = [];
afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));

/** A client of the worker behind a proxy of its own. */
async function behind(faults: Faults): Promise<{ readonly client: WorkerClient; readonly proxy: FaultyProxy }> {
  const proxy = await FaultyProxy.start(worker.url, faults);
  proxies.push(proxy);
  return { client: new WorkerClient({ url: proxy.url }), proxy };
}

const accepted = (): number => worker.lines.filter(({ event }) => event === 'request.validated').length;

async function eventsOf(run: Run): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of run) events.push(event);
  return events;
}

/** The events of a job that is complete, each of them once. */
function expectComplete(events: readonly StreamEvent[], run: Run): void {
  const tokens = events.filter((event) => event.type === 'token');
  expect(tokens.map(({ t }) => t).join('')).toBe(expected);
  expect(tokens.map(({ i }) => i)).toEqual(tokens.map((_, index) => index));
  expect(events.map(({ type }) => type).filter((type) => type === 'started' || type === 'end')).toEqual([
    'started',
    'end',
  ]);
  // Ids count without a gap, so the number of the last one tells that none is missing.
  expect(parseEventId(run.lastEventId ?? '')?.number).toBe(events.length - 1);
}

describe('a connection that breaks', () => {
  test('in the middle of the stream is made again after the last event', async () => {
    const before = accepted();
    const { client, proxy } = await behind({ cutAfter: [SOME_EVENTS] });
    const run = client.execute(JOB);
    expectComplete(await eventsOf(run), run);
    expect(proxy.seen).toEqual(['POST /execute', 'GET /jobs/…/events']);
    expect(proxy.requests[1]?.lastEventId).toMatch(/^[0-9a-z]+-\d+$/);
    expect(accepted() - before).toBe(1);
  });

  test('at any byte, several times, loses and doubles no token', async () => {
    const before = accepted();
    let runs = 0;
    const cuts = fc.array(fc.integer({ min: 1, max: ANSWER_BYTES }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(cuts, async (cutAfter) => {
        const { client, proxy } = await behind({ cutAfter });
        const run = client.execute(JOB);
        expectComplete(await eventsOf(run), run);
        expect(proxy.seen.filter((line) => line.startsWith('POST'))).toEqual(['POST /execute']);
        runs += 1;
      }),
      { numRuns: 25 },
    );
    expect(accepted() - before).toBe(runs);
  });

  test('before the head of the answer to the POST: the job is found, and not posted again', async () => {
    const before = accepted();
    const { client, proxy } = await behind({ cutAfter: [0] });
    const run = client.execute({ ...JOB, job_id: 'lost-answer' });
    expectComplete(await eventsOf(run), run);
    expect(proxy.seen).toEqual(['POST /execute', 'GET /jobs/…/events']);
    expect(proxy.requests[1]?.lastEventId).toBeUndefined();
    expect(accepted() - before).toBe(1);
  });

  test('before the head of the answers to the POST and to the first search', async () => {
    const { client, proxy } = await behind({ cutAfter: [0, 0] });
    const run = client.execute(JOB);
    expectComplete(await eventsOf(run), run);
    expect(proxy.seen).toEqual(['POST /execute', 'GET /jobs/…/events', 'GET /jobs/…/events']);
  });

  test('is not made again with resumeForMs 0', async () => {
    const { client, proxy } = await behind({ cutAfter: [SOME_EVENTS] });
    const run = client.execute({ ...JOB, job_id: 'not-resumed' }, { resumeForMs: 0 });
    const error = await run.text().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ lastEventId: run.lastEventId });
    expect(proxy.seen).toEqual(['POST /execute']);
    // The job goes on, and another client reads the rest.
    const rest = new WorkerClient({ url: worker.url }).attach('not-resumed', { after: run.lastEventId });
    expect((await rest.end()).tokens_out).toBe(60);
  });
});

describe('a connection that is silent', () => {
  test('in the middle of the stream is made again after silenceMs', async () => {
    const { client, proxy } = await behind({ stallAfter: [SOME_EVENTS] });
    const run = client.execute(JOB, { silenceMs: 500 });
    expectComplete(await eventsOf(run), run);
    expect(proxy.seen.slice(0, 2)).toEqual(['POST /execute', 'GET /jobs/…/events']);
  });

  test('before the head of the answer to the POST counts as broken', async () => {
    const before = accepted();
    const { client, proxy } = await behind({ stallAfter: [0] });
    const run = client.execute(JOB, { silenceMs: 500 });
    expectComplete(await eventsOf(run), run);
    expect(proxy.seen.slice(0, 2)).toEqual(['POST /execute', 'GET /jobs/…/events']);
    expect(accepted() - before).toBe(1);
  });
});

describe('a worker that dies', () => {
  test('ends the run with a ConnectionError that has the id of the last event', async () => {
    const doomed = await startWorker();
    const run = new WorkerClient({ url: doomed.url }).execute(
      { ...JOB, max_tokens: 400, min_tokens: 400 },
      {
        resumeForMs: 1000,
      },
    );
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of run) {
        seen.push(event.type);
        if (event.type === 'token' && event.i === 3) await doomed.kill();
      }
    })();
    const error = await reading.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConnectionError);
    const { message, lastEventId } = error as ConnectionError;
    expect(message).toMatch(/^The connection to job job-\w+ broke and could not be restored within 1000 ms \(.*\)\.$/);
    expect(parseEventId(lastEventId ?? '')?.number).toBe(seen.length - 1);
    expect(seen).not.toContain('end');
  });

  test('was never there: the first request fails at once', async () => {
    const gone = await FaultyProxy.start(worker.url);
    const { url } = gone;
    await gone.close();
    const run = new WorkerClient({ url }).execute(JOB);
    await expect(run.text()).rejects.toThrow(/^The worker at http:\/\/127\.0\.0\.1:\d+ did not answer: .*ECONNREFUSED/);
  });
});
