import { describe, expect, test } from 'vitest';
import type { EventData } from '../../src/http/events.ts';
import { EventStream } from '../../src/http/stream.ts';

const NARRATION: EventData<'narration'> = {
  event: 'request.queued',
  level: 'INFO',
  actor: 'inference-engine',
  action: 'queue',
  target: 'job-1',
  human: 'Engine queues the request at position 1',
  worker_id: 'w',
};
const ERROR: EventData<'error'> = { code: 'CANCELLED', message: 'The job was cancelled.', retriable: false };

async function read(stream: EventStream): Promise<string> {
  let text = '';
  for await (const chunk of stream.frames()) text += chunk;
  return text;
}
const dataOf = (text: string): Record<string, unknown>[] =>
  [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1] ?? ''));
const idsOf = (text: string): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));

describe('the events of one job', () => {
  test('are frames with contiguous ids, the name twice, and the correlation id where the contract has it', async () => {
    const stream = new EventStream('req-1');
    stream.emit('narration', NARRATION);
    stream.emit('token', { t: 'a\n\u2028b', i: 0 });
    stream.emit('error', ERROR);
    const text = await read(stream);
    expect(idsOf(text)).toEqual([0, 1, 2]);
    expect([...text.matchAll(/^event: (.*)$/gm)].map((match) => match[1])).toEqual(['narration', 'token', 'error']);
    expect(dataOf(text).map((data) => [data['type'], data['correlation_id']])).toEqual([
      ['narration', 'req-1'],
      ['token', undefined],
      ['error', 'req-1'],
    ]);
    expect(dataOf(text)[1]?.['t']).toBe('a\n\u2028b');
  });

  test('end with the first terminal event: what comes later is not written', async () => {
    const stream = new EventStream('req-1');
    stream.emit('error', ERROR);
    stream.emit('token', { t: 'late', i: 0 });
    stream.emit('error', { ...ERROR, code: 'TIMEOUT' });
    expect(stream.over).toBe(true);
    const text = await read(stream);
    expect(dataOf(text)).toHaveLength(1);
    expect(text).toContain('CANCELLED');
  });

  test('that are written together are read together', async () => {
    const stream = new EventStream('req-1');
    for (let i = 0; i < 5; i += 1) stream.emit('token', { t: 'x', i });
    const { value } = await stream.frames().next();
    expect(idsOf(value ?? '')).toEqual([0, 1, 2, 3, 4]);
  });

  test('reach a waiting reader at once', async () => {
    const stream = new EventStream('req-1');
    const waiting = stream.frames().next();
    stream.emit('token', { t: 'now', i: 0 });
    expect((await waiting).value).toContain('"t":"now"');
  });
});

test('what is narrated before `started` is told right after it', async () => {
  const stream = new EventStream('req-1', { awaitsStart: true });
  stream.emit('narration', NARRATION);
  stream.emit('started', {
    job_id: 'job-1',
    model: 'haiku',
    started_at: new Date().toISOString(),
    seed: 1,
    worker_id: 'w',
  });
  stream.emit('token', { t: 'x', i: 0 });
  stream.emit('error', ERROR);
  expect(dataOf(await read(stream)).map((data) => data['type'])).toEqual(['started', 'narration', 'token', 'error']);
});

test('a quiet stream says every so often that it lives, as a comment that is no event', async () => {
  const stream = new EventStream('req-1', { keepAliveMs: 20 });
  const frames = stream.frames();
  expect((await frames.next()).value).toBe(': keep-alive\n\n');
  expect((await frames.next()).value).toBe(': keep-alive\n\n');
  stream.emit('error', ERROR);
  expect(idsOf((await frames.next()).value ?? '')).toEqual([0]);
});

describe('a reader that lags', () => {
  const bulk = 'x'.repeat(1000);

  test('loses narrations and metrics, is told how many, and never loses a token or the end', async () => {
    const stream = new EventStream('req-1');
    for (let i = 0; i < 400; i += 1) {
      stream.emit('token', { t: bulk, i });
      stream.emit('narration', NARRATION);
    }
    const shed = stream.shed;
    expect(shed).toBeGreaterThan(0);
    const frames = stream.frames();
    const first = String((await frames.next()).value);
    expect(dataOf(first).filter((data) => data['type'] === 'token')).toHaveLength(400);
    expect(dataOf(first).filter((data) => data['type'] === 'narration')).toHaveLength(400 - shed);

    stream.emit('narration', NARRATION);
    stream.emit('error', ERROR);
    const second = dataOf(String((await frames.next()).value));
    expect(second[0]).toMatchObject({ type: 'narration', shed });
    expect(second[1]).toMatchObject({ type: 'error' });
  });

  test('has contiguous ids all the same', async () => {
    const stream = new EventStream('req-1');
    for (let i = 0; i < 600; i += 1)
      stream.emit(i % 2 === 0 ? 'token' : 'narration', (i % 2 === 0 ? { t: bulk, i } : NARRATION) as never);
    stream.emit('error', ERROR);
    const ids = idsOf(await read(stream));
    expect(ids).toEqual(ids.map((_, index) => index));
  });
});
