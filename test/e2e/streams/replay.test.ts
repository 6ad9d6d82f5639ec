/** A stream can be read again from any event on, by several clients, and a job can outlive its client. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endings, Listener, lastOf, longJob } from '../../support/listener.ts';
import { numberOf, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '4'] });
});
afterAll(() => worker.kill());

const pathOf = (id: string, query = ''): string => `/jobs/${encodeURIComponent(id)}/events${query}`;
const read = async (id: string, query = '', headers: Record<string, string> = {}): Promise<string> => {
  const response = await worker.get(pathOf(id, query), headers);
  expect(response.status).toBe(200);
  return response.text();
};
const idsOf = (text: string): number[] => [...text.matchAll(/^id: \w+-(\d+)$/gm)].map(([, id]) => Number(id));
const of = (job: string) => (line: Readonly<Record<string, unknown>>) => line['job_id'] === job;

describe('a job that is over', () => {
  const id = 'over / ?#% 🐸';
  let live = '';
  beforeAll(async () => {
    live = await (await worker.post('/execute', longJob(id, { min_tokens: 40, max_tokens: 40 }))).text();
  });

  test('is replayed byte for byte as live, also with a percent-encoded id', async () => {
    expect(await read(id)).toBe(live);
    const response = await worker.get(pathOf(id));
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform');
    await response.body?.cancel();
  });

  test('is replayed from any event on; the header precedes the query', async () => {
    const all = idsOf(live);
    for (const after of [0, 3, all.length - 2]) {
      const rest = await read(id, `?after=${after}`);
      expect(idsOf(rest)).toEqual(all.slice(after + 1));
      expect(live.endsWith(rest)).toBe(true);
      expect(await read(id, '', { 'Last-Event-ID': String(after) })).toBe(rest);
      expect(await read(id, '?after=1', { 'Last-Event-ID': String(after) })).toBe(rest);
    }
  });

  test('has nothing after its last event: 204, which keeps browsers from reconnecting', async () => {
    const last = idsOf(live).length - 1;
    const response = await worker.get(pathOf(id, `?after=${last}`));
    expect([response.status, await response.text()]).toEqual([204, '']);
  });

  test('is sent to 16 readers at the same time', async () => {
    const texts = await Promise.all(Array.from({ length: 16 }, () => read(id)));
    expect(new Set(texts)).toEqual(new Set([live]));
  });
});

describe('a refused request', () => {
  test.each(['x', '-1', '1.5', '', '1e3', '9999999999999999'])(
    'for an event id that is no number: %j',
    async (value) => {
      for (const response of [
        await worker.get(pathOf('over', `?after=${value}`)),
        await worker.get(pathOf('over'), { 'Last-Event-ID': value || '?' }),
      ]) {
        expect(response.status).toBe(400);
        const { error } = (await response.json()) as { error: { code: string; errors: { field: string }[] } };
        expect(error.code).toBe('INVALID_REQUEST');
        expect(['after', 'Last-Event-ID']).toContain(error.errors[0]?.field);
      }
    },
  );

  test('for an unknown job or a malformed address', async () => {
    for (const [path, status, code] of [
      [pathOf('nobody'), 404, 'NOT_FOUND'],
      ['/jobs/%ff/events', 400, 'INVALID_REQUEST'],
      [pathOf('🐸'.repeat(256)), 404, 'NOT_FOUND'],
      [pathOf('x'.repeat(4000)), 400, 'INVALID_REQUEST'],
    ] as const) {
      const response = await worker.get(path);
      expect([response.status, await response.json()]).toMatchObject([status, { error: { code } }]);
    }
  });

  test('is HEAD, which a stream does not have', async () => {
    expect((await fetch(worker.url + pathOf('over'), { method: 'HEAD' })).status).toBe(404);
  });

  test('for an event beyond the last one of a running job', async () => {
    const stream = await Listener.open(worker, longJob('ahead'));
    await stream.untilToken();
    const response = await worker.get(pathOf('ahead', '?after=100000'));
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({ error: { code: 'OTHER_RUN', retriable: false, retry: 'never' } });
    stream.leave();
  });

  test('has an unknown value of on_disconnect', async () => {
    const response = await worker.post('/execute', { job_id: 'x', prompt: 'x', on_disconnect: 'stay' });
    expect(await response.json()).toMatchObject({
      error: {
        errors: [{ field: 'on_disconnect', message: 'on_disconnect must be cancel or continue, but is "stay"' }],
      },
    });
  });
});

describe('a job that runs', () => {
  test('sends the same events live to several clients, each from the event that it requests', async () => {
    const first = await Listener.open(worker, longJob('shared'));
    await first.untilToken(10);
    const [second, third] = await Promise.all([
      Listener.attach(worker, 'shared'),
      Listener.attach(worker, 'shared', 7),
    ]);
    await third.untilToken(20);
    const all = (await first.ended).map(({ data }) => data);
    expect((await second.ended).map(({ data }) => data)).toEqual(all);
    expect((await third.ended).map(({ data }) => data)).toEqual(all.slice(8));
    expect(endings(second.events)).toHaveLength(1);
    expect(await worker.line('reader.returned', of('shared'))).toMatchObject({ readers: expect.any(Number) });
  });

  test('does not tell its clients of others that come and go', async () => {
    const first = await Listener.open(worker, longJob('visited'));
    await first.untilToken();
    for (let visit = 0; visit < 40; visit += 1) {
      const answer = await worker.get(pathOf('visited', '?after=0'));
      await answer.body?.cancel();
    }
    await first.ended;
    expect(first.told.filter((event) => event.startsWith('reader.'))).toEqual([]);
    await worker.line('inference.complete', of('visited'));
    const lines = worker.lines.filter((line) => line['job_id'] === 'visited' && line.event.startsWith('reader.'));
    expect(lines.length).toBeLessThanOrEqual(4);
    expect(lines[0]).toMatchObject({ event: 'reader.returned', times: 1, job_id: 'visited' });
    expect(lines[0]).toHaveProperty('correlation_id');
  });

  test('stops only when its last client has left', async () => {
    const first = await Listener.open(worker, longJob('two'));
    await first.untilToken();
    const second = await Listener.attach(worker, 'two');
    await second.untilToken();
    first.leave();
    expect(lastOf(await second.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    const third = await Listener.open(worker, longJob('one'));
    await third.untilToken();
    const fourth = await Listener.attach(worker, 'one');
    third.leave();
    await fourth.untilToken();
    fourth.leave();
    await worker.line('reader.left', of('one'));
    expect(await worker.line('inference.failed', of('one'))).toMatchObject({ error_kind: 'cancelled' });
  });

  test('can be waited for while its prompt is tokenized', async () => {
    const prompt = 'sea wind '.repeat(50).concat('x'.repeat(1800));
    const posted = worker.post('/execute', { job_id: 'unread', prompt, raw: true });
    let answer = await worker.get(pathOf('unread'));
    while (answer.status === 404) answer = await worker.get(pathOf('unread'));
    const response = await posted;
    expect([200, 410]).toContain(answer.status);
    expect(answer.status === 200).toBe(response.status === 200);
    if (answer.status === 200) expect(await answer.text()).toBe(await response.text());
  });
});

describe('a job that outlives its client', () => {
  const lasting = (id: string) => longJob(id, { on_disconnect: 'continue' });

  test('continues, and the client that comes back misses nothing', async () => {
    const stream = await Listener.open(worker, lasting('lasting'));
    const last = await stream.untilToken(5);
    const number = numberOf(last);
    stream.leave();
    await worker.line('reader.detached', of('lasting'));
    const back = await Listener.attach(worker, 'lasting', last.id);
    const events = await back.ended;
    expect(events.map(numberOf)).toEqual(events.map((_, at) => number + 1 + at));
    expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 480 });
    expect(back.told).not.toContain('reader.detached');
    const whole = await Listener.attach(worker, 'lasting');
    const tokens = (await whole.ended).filter(({ data }) => data.type === 'token');
    expect(tokens.map(({ data }) => data['i'])).toEqual(tokens.map((_, index) => index));
  });

  test('succeeds if no client comes back before its end, and can still be read', async () => {
    const stream = await Listener.open(worker, lasting('unattended'));
    stream.leave();
    await worker.line('inference.complete', of('unattended'));
    const late = await Listener.attach(worker, 'unattended');
    expect(lastOf(await late.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
  });

  test('can be cancelled', async () => {
    const stream = await Listener.open(worker, lasting('unwanted'));
    await stream.untilToken();
    stream.leave();
    await worker.line('reader.detached', of('unwanted'));
    expect((await worker.post('/cancel', { job_id: 'unwanted' })).status).toBe(202);
    const late = await Listener.attach(worker, 'unwanted');
    expect(lastOf(await late.ended)).toMatchObject({ code: 'CANCELLED' });
  });
});
