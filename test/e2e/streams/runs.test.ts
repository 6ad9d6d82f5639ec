/** A job id can be used again: a resume of one run never continues with the events of another one. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { EventSource } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WorkerClient } from '../../../src/client/client.ts';
import { RefusedError } from '../../../src/client/errors.ts';
import { parseEventId } from '../../../src/contract/event-ids.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { all, numberOf, type StreamEvent, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '4'] });
});
afterAll(() => worker.kill());

const pathOf = (id: string, query = ''): string => `/jobs/${id}/events${query}`;
const short = (id: string, more: object = {}): object => ({ job_id: id, prompt: 'The sea', max_tokens: 60, ...more });
const of = (job: string) => (line: Readonly<Record<string, unknown>>) => line['job_id'] === job;
const runOf = (response: Response): string => response.headers.get('x-run-id') ?? 'none';

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly retry: string;
  readonly details: Readonly<Record<string, string | number>>;
}

/** Status and error of an answer that is no stream. */
async function refusalOf(query: string, headers: Record<string, string> = {}): Promise<[number, Refusal]> {
  const response = await worker.get(query, headers);
  const { error } = (await response.json()) as { error: Refusal };
  return [response.status, error];
}

async function read(path: string, headers: Record<string, string> = {}): Promise<[string, string]> {
  const response = await worker.get(path, headers);
  return [runOf(response), await response.text()];
}

/** Runs a job twice with the same id. The client of the first run leaves after event 35 and the job goes on. */
async function twice(id: string): Promise<{ first: string; second: string }> {
  const stream = await Listener.open(worker, longJob(id, { seed: 1, on_disconnect: 'continue' }));
  await stream.until((event) => numberOf(event) >= 35);
  stream.leave();
  await worker.line('inference.complete', of(id));
  await read(pathOf(id)); // The whole log: the first job is over, and its id is free.
  const again = await Listener.open(worker, longJob(id, { seed: 2 }));
  await again.ended;
  return { first: runOf(stream.response), second: runOf(again.response) };
}

describe('every job has a run', () => {
  let events: readonly StreamEvent[];
  let run: string;
  beforeAll(async () => {
    const stream = await Listener.open(worker, short('one'), { 'X-Correlation-Id': 'req-one' });
    events = await stream.ended;
    run = runOf(stream.response);
  });

  test('in X-Run-Id, in started, in each narration, and in the id of each event', async () => {
    expect(run).toMatch(/^[0-9a-z]{9}$/);
    expect(events[0]?.data).toMatchObject({ type: 'started', run_id: run });
    expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => `${run}-${index}`));
    const narrations = all(events, 'narration');
    expect(narrations.length).toBeGreaterThan(3);
    expect(narrations.map((data) => data['run_id'])).toEqual(narrations.map(() => run));
    const lines = await worker.told('req-one');
    expect(lines.map((line) => line['run_id'])).toEqual(lines.map(() => run));
  });

  test('in the answers for its events and its cancel', async () => {
    const last = events.at(-1)?.id;
    for (const query of ['', `?after=${last}`, `?run_id=${run}`]) {
      const answer = await worker.get(pathOf('one', query));
      expect(runOf(answer)).toBe(run);
      await answer.text();
    }
    expect(runOf(await worker.post('/cancel', { job_id: 'one' }))).toBe(run);
  });

  test('and its answers name the job, percent-encoded', async () => {
    const id = 'job/ä "1" 100%';
    const stream = await Listener.open(worker, short(id));
    await stream.ended;
    const answers = [
      stream.response,
      await worker.get(pathOf(encodeURIComponent(id))),
      await worker.get(pathOf(encodeURIComponent(id), `?after=${stream.events.at(-1)?.id}`)),
      await worker.post('/cancel', { job_id: id }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 204, 202]);
    expect(answers.map(({ headers }) => headers.get('x-job-id'))).toEqual(answers.map(() => encodeURIComponent(id)));
    const chat = await worker.post('/v1/chat/completions', {
      messages: [{ role: 'user', content: 'a' }],
      max_tokens: 1,
    });
    const { id: chatId } = (await chat.json()) as { readonly id: string };
    expect(chat.headers.get('x-job-id')).toBe(chatId);
    expect((await worker.post('/execute', {})).headers.get('x-job-id')).toBeNull();
  });

  test('that differs from the run of every other job, and is absent from a refused request', async () => {
    const other = await Listener.open(worker, short('two'));
    await other.ended;
    expect(runOf(other.response)).not.toBe(run);
    const refused = await worker.execute({ job_id: 'three' }, { Accept: 'text/event-stream' });
    expect(refused.map(({ id }) => id)).toEqual(['0', '1']);
    expect(refused[0]?.data).not.toHaveProperty('run_id');
  });

  test('that a duplicate of a running job reports', async () => {
    const stream = await Listener.open(worker, longJob('busy'));
    await stream.untilToken();
    const response = await worker.post('/execute', longJob('busy'));
    expect(await response.json()).toMatchObject({
      error: { code: 'DUPLICATE_JOB', retry: 'here', details: { run_id: runOf(stream.response) } },
    });
    stream.leave();
  });
});

describe('a resume of a run', () => {
  test('continues after an event id, after a number, and after a number with its run', async () => {
    const stream = await Listener.open(worker, short('resumed'));
    await stream.ended;
    const run = runOf(stream.response);
    const [, whole] = await read(pathOf('resumed'));
    const [, rest] = await read(pathOf('resumed', '?after=5'));
    expect(whole.endsWith(rest)).toBe(true);
    expect(rest.startsWith(`id: ${run}-6\n`)).toBe(true);
    expect(await read(pathOf('resumed', `?after=${run}-5`))).toEqual([run, rest]);
    expect(await read(pathOf('resumed', `?after=5&run_id=${run}`))).toEqual([run, rest]);
    expect(await read(pathOf('resumed'), { 'Last-Event-ID': `${run}-5` })).toEqual([run, rest]);
    expect(await read(pathOf('resumed'), { 'Last-Event-ID': '5' })).toEqual([run, rest]);
    // A browser keeps the query of the first request, and its header precedes.
    expect(await read(pathOf('resumed', `?after=${run}-1`), { 'Last-Event-ID': `${run}-5` })).toEqual([run, rest]);
  });

  test('of another run is refused with OTHER_RUN, which names the run of the worker', async () => {
    const { first, second } = await twice('spliced');
    const resumes: [string, Record<string, string>?][] = [
      ['?after=35'],
      [`?after=${first}-35`],
      [`?after=35&run_id=${first}`],
      [`?run_id=${first}`],
      [`?after=${second}-35&run_id=${first}`],
      ['', { 'Last-Event-ID': '35' }],
      ['', { 'Last-Event-ID': `${first}-35` }],
      [`?after=${second}-1`, { 'Last-Event-ID': `${first}-35` }],
      [`?run_id=${first}`, { 'Last-Event-ID': `${second}-35` }],
    ];
    for (const [query, headers] of resumes) {
      const [status, error] = await refusalOf(pathOf('spliced', query), headers);
      expect([query, status]).toEqual([query, 409]);
      expect(error).toMatchObject({ code: 'OTHER_RUN', retry: 'never', details: { run_id: second } });
    }
    const [, byNumber] = await refusalOf(pathOf('spliced', '?after=35'));
    expect(byNumber.message).toMatch(/whole event id.*run_id/);
  });

  test('of the new run works after the id was used again, and without an id the whole run is sent', async () => {
    const { second } = await twice('reused');
    const [run, whole] = await read(pathOf('reused'));
    expect(run).toBe(second);
    for (const query of [`?after=${second}-35`, `?after=35&run_id=${second}`]) {
      const [, rest] = await read(pathOf('reused', query));
      expect(rest.startsWith(`id: ${second}-36\n`) && whole.endsWith(rest)).toBe(true);
    }
  });

  test('at an event that the run does not have is refused, while the job runs and after its end', async () => {
    const stream = await Listener.open(worker, longJob('ahead'));
    await stream.untilToken();
    const run = runOf(stream.response);
    const beyond = ['?after=100000', `?after=${run}-100000`];
    for (const query of beyond) expect((await refusalOf(pathOf('ahead', query)))[1].code).toBe('OTHER_RUN');
    const events = await stream.ended;
    const last = numberOf(events.at(-1) ?? { id: undefined });
    for (const query of [...beyond, `?after=${last + 1}`]) {
      const [status, error] = await refusalOf(pathOf('ahead', query));
      expect([status, error.code, error.details]).toEqual([409, 'OTHER_RUN', { run_id: run }]);
      expect(error.message).toContain(`its last event is ${last}.`);
    }
  });

  test('of a job whose first try was refused is accepted by number: that try had no events', async () => {
    const tooLong = { job_id: 'shortened', prompt: 'sea '.repeat(600) };
    expect((await worker.post('/execute', tooLong)).status).toBe(413);
    await worker.execute(short('shortened'));
    expect((await read(pathOf('shortened', '?after=3')))[1]).toMatch(/^id: \w{9}-4\n/);
  });

  test.each(['-5', 'x-', 'a-b', 'é-5', 'a_b-5', `${'a'.repeat(33)}-5`, '5-', '--5', 'run-1e3', 'run-9999999999999999'])(
    'after %j, which is no event id, is invalid',
    async (value) => {
      const [status, error] = await refusalOf(pathOf('one', `?after=${encodeURIComponent(value)}`));
      expect([status, error.code]).toEqual([400, 'INVALID_REQUEST']);
      expect(error.message).toContain('<run>-<n>');
    },
  );

  test.each(['?run_id=', '?run_id=-', '?run_id=a&run_id=b', `?run_id=${'a'.repeat(33)}`])(
    'with %s, which is no run, is invalid',
    async (query) => {
      const [status, error] = await refusalOf(pathOf('one', query));
      expect([status, error.message]).toEqual([400, expect.stringContaining('run_id must be')]);
    },
  );
});

describe('EventSource', () => {
  /** A promise, and the function that resolves it. */
  function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
    let open: (() => void) | undefined;
    const passed = new Promise<void>((resolve) => {
      open = resolve;
    });
    return { passed, open: () => open?.() };
  }

  /** A connection to the worker that breaks after some tokens. Later connections wait until `release`. */
  async function breaking(): Promise<{ server: Server; url: string; release: () => void; broken: Promise<void> }> {
    const [released, broken] = [gate(), gate()];
    let first = true;
    const { hostname, port } = new URL(worker.url);
    const server = createServer((client: Socket) => {
      const cuts = first;
      first = false;
      void (cuts ? Promise.resolve() : released.passed).then(() => {
        const upstream = connect(Number(port), hostname);
        client.on('error', () => undefined).on('close', () => upstream.destroy());
        upstream.on('error', () => undefined).on('close', () => client.destroy());
        client.pipe(upstream).pipe(client);
        let heard = '';
        if (cuts)
          upstream.on('data', (bytes: Buffer) => {
            heard += String(bytes);
            if (heard.split('event: token').length < 5) return;
            upstream.destroy();
            broken.open();
          });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address() as { port: number };
    return { server, url: `http://127.0.0.1:${address.port}`, release: released.open, broken: broken.passed };
  }

  /** Resolves with the ids of all events when the source gives up. */
  function idsUntilClosed(source: EventSource): Promise<string[]> {
    const ids: string[] = [];
    const types = ['started', 'narration', 'token', 'metrics', 'end'];
    for (const type of types) source.addEventListener(type, (event) => ids.push((event as MessageEvent).lastEventId));
    return new Promise((resolve) => {
      source.addEventListener('error', () => {
        if (source.readyState === source.CLOSED) resolve(ids);
      });
    });
  }

  test('reads a job through a broken connection, without a gap, and stops after the last event', async () => {
    const stream = await Listener.open(worker, longJob('browser', { on_disconnect: 'continue' }));
    const { server, url, release, broken } = await breaking();
    release();
    const ids = idsUntilClosed(new EventSource(`${url}${pathOf('browser')}`));
    await broken;
    const expected = (await stream.ended).map(({ id }) => id);
    expect(await ids).toEqual(expected);
    server.close();
  });

  test('gets no event of another run when it reconnects', async () => {
    const stream = await Listener.open(worker, longJob('replaced', { on_disconnect: 'continue' }));
    const { server, url, release, broken } = await breaking();
    const ids = idsUntilClosed(new EventSource(`${url}${pathOf('replaced')}`));
    await broken;
    await stream.ended;
    const again = await Listener.open(worker, longJob('replaced', { seed: 2 }));
    await again.untilToken();
    release();
    const runs = new Set((await ids).map((id) => parseEventId(id)?.run));
    expect(runs).toEqual(new Set([runOf(stream.response)]));
    expect(lastOf(await again.ended)).toMatchObject({ type: 'end' });
    server.close();
  });
});

describe('--event-ids number, for clients of version 1', () => {
  let numbers: TestWorker;
  beforeAll(async () => {
    numbers = await startWorker({ args: ['--event-ids', 'number', '--slots', '2'] });
  });
  afterAll(() => numbers.kill());

  test('gives ids that are numbers, and a resume by number', async () => {
    const events = await numbers.execute(short('plain'));
    expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => String(index)));
    const rest = await Listener.attach(numbers, 'plain', 5);
    expect((await rest.ended).map(({ id }) => id)).toEqual(events.slice(6).map(({ id }) => id));
  });

  test('never joins two runs: a number is refused after the id was used again, unless run_id is given', async () => {
    await numbers.execute(short('again'));
    const second = await numbers.execute(short('again', { seed: 2 }));
    const refused = await numbers.get(pathOf('again', '?after=3'));
    expect(await refused.json()).toMatchObject({ error: { code: 'OTHER_RUN' } });
    const run = String(second[0]?.data['run_id']);
    const rest = await Listener.attach(numbers, 'again', `3&run_id=${run}`);
    expect((await rest.ended).map(({ id }) => id)).toEqual(second.slice(4).map(({ id }) => id));
  });
});

test('the client reports where a refused request can succeed', async () => {
  const body = { job_id: 'late', prompt: 'sea '.repeat(600) };
  const refused = await new WorkerClient({ url: worker.url })
    .execute(body)
    .text()
    .catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(RefusedError);
  expect(refused).toMatchObject({ code: 'PROMPT_TOO_LONG', retriable: false, retry: 'never', status: 413 });
  expect((refused as RefusedError).details).toHaveProperty('context_length');
});
