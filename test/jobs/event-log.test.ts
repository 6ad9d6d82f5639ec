/** The event log of a job: order, ids, shedding, trimming, and wire formats other than the native one. */
import { describe, expect, test } from 'vitest';
import { sseEncoder } from '../../src/http/sse.ts';
import { EventLog } from '../../src/jobs/event-log.ts';
import { newRunId, RUN_ID_CHARS } from '../../src/jobs/job.ts';
import { dataOf, END, ERROR, idsOf, NARRATION, STARTED } from './events.ts';

describe('the events of a job', () => {
  test('become frames with contiguous ids, the event name in line and data, and the correlation id where required', () => {
    const log = new EventLog(sseEncoder('req-1'));
    log.emit(NARRATION);
    log.emit({ type: 'token', t: 'a\n\u2028b', i: 0 });
    log.emit(ERROR);
    expect(idsOf(log.text)).toEqual([0, 1, 2]);
    expect([...log.text.matchAll(/^event: (.*)$/gm)].map((match) => match[1])).toEqual(['narration', 'token', 'error']);
    expect(dataOf(log.text).map((data) => [data['type'], data['correlation_id']])).toEqual([
      ['narration', 'req-1'],
      ['token', undefined],
      ['error', 'req-1'],
    ]);
    expect(dataOf(log.text)[1]?.['t']).toBe('a\n\u2028b');
  });

  test('have their run in the id, and the number behind its last hyphen', () => {
    const log = new EventLog(sseEncoder('req-1', 'k3v9x2m7q'));
    for (const event of [STARTED, ERROR]) log.emit(event);
    expect(log.text.match(/^id: .*$/gm)).toEqual(['id: k3v9x2m7q-0', 'id: k3v9x2m7q-1']);
  });

  test('cost ten bytes more with a run than without: the run and a hyphen', () => {
    const [plain, run] = [new EventLog(sseEncoder('req-1')), new EventLog(sseEncoder('req-1', newRunId()))];
    for (const log of [plain, run]) for (let i = 0; i < 100; i += 1) log.emit({ type: 'token', t: ' the', i });
    expect(run.bytes - plain.bytes).toBe(100 * (RUN_ID_CHARS + 1));
    expect(run.bytes / plain.bytes).toBeLessThan(1.1);
  });

  test('end with the first terminal event: later events are dropped', () => {
    const log = new EventLog(sseEncoder('req-1'));
    log.emit(ERROR);
    log.emit({ type: 'token', t: 'late', i: 0 });
    log.emit({ ...ERROR, code: 'TIMEOUT' });
    expect(log.over).toBe(true);
    expect(dataOf(log.text)).toMatchObject([{ code: 'CANCELLED' }]);
  });

  test('begin with `started`: earlier narrations follow it', () => {
    const log = new EventLog(sseEncoder('req-1'), { awaitsStart: true });
    log.emit(NARRATION);
    expect(log.begun).toBe(false);
    log.emit(STARTED);
    log.emit({ type: 'token', t: 'x', i: 0 });
    log.emit(ERROR);
    expect(dataOf(log.text).map((data) => data['type'])).toEqual(['started', 'narration', 'token', 'error']);
  });

  test('open the log: `opened` resolves at the first event, or when the log is closed', async () => {
    const [begun, refused] = [
      new EventLog(sseEncoder('req-1'), { awaitsStart: true }),
      new EventLog(sseEncoder('req-2'), { awaitsStart: true }),
    ];
    begun.emit(STARTED);
    refused.close();
    await Promise.all([begun.opened, refused.opened]);
    expect([begun.begun, begun.over, refused.begun, refused.over]).toEqual([true, false, false, true]);
  });
});

describe('take', () => {
  const filled = (count: number): EventLog => {
    const log = new EventLog(sseEncoder('req-1'));
    for (let i = 0; i < count; i += 1) log.emit({ type: 'token', t: 'x', i });
    return log;
  };

  test('returns whole frames: as many as fit, and at least one', () => {
    const log = filled(10);
    const frame = log.bytesFrom(9);
    expect(idsOf(log.take(0, 3 * frame).text)).toEqual([0, 1, 2]);
    expect(log.take(0, 3 * frame).next).toBe(3);
    expect(log.take(4, 0)).toMatchObject({ text: expect.stringContaining('id: 4\n'), next: 5 });
    expect(log.take(10, 1000)).toEqual({ text: '', next: 10 });
  });

  test('returns the same bytes from every id on', () => {
    const log = filled(20);
    const { text } = log;
    for (let from = 0; from <= 20; from += 1) {
      const rest = log.take(from, Number.POSITIVE_INFINITY).text;
      expect(text.endsWith(rest)).toBe(true);
      expect(Buffer.byteLength(rest)).toBe(log.bytesFrom(from));
      expect(idsOf(rest)).toEqual(Array.from({ length: 20 - from }, (_, index) => from + index));
    }
  });

  test('uses the original ids after a trim', () => {
    const log = filled(20);
    const before = log.bytes;
    log.trim(before / 2, 15);
    const { first } = log;
    expect(first).toBeGreaterThan(8);
    expect(log.bytes).toBeLessThanOrEqual(before / 2);
    expect(idsOf(log.text)).toEqual(Array.from({ length: 20 - first }, (_, index) => first + index));
    expect(Buffer.byteLength(log.text)).toBe(log.bytesFrom(first));
    log.trim(0, 15);
    expect([log.first, log.next]).toEqual([15, 20]);
    log.emit({ type: 'token', t: 'x', i: 20 });
    expect(idsOf(log.take(19, 1e6).text)).toEqual([19, 20]);
  });

  test('bytes of memory are counted: two per character outside of Latin-1', () => {
    const [narrow, wide] = [new EventLog(sseEncoder('req-1')), new EventLog(sseEncoder('req-1'))];
    narrow.emit({ type: 'token', t: 'x'.repeat(1000), i: 0 });
    wide.emit({ type: 'token', t: '海'.repeat(1000), i: 0 });
    expect(wide.bytes - narrow.bytes).toBeGreaterThan(1000);
    expect(narrow.bytes).toBeGreaterThan(1000);
  });
});

describe('while all subscribers lag', () => {
  test('narration is shed and counted, tokens and the end are not, and ids stay contiguous', () => {
    const log = new EventLog(sseEncoder('req-1'));
    let lagging = false;
    log.subscribe({ isLagging: () => lagging, onChange: () => undefined });
    log.emit({ type: 'token', t: 'a', i: 0 });
    lagging = true;
    for (let i = 1; i <= 5; i += 1) {
      log.emit({ type: 'token', t: 'a', i });
      log.emit(NARRATION);
    }
    expect(log.shed).toBe(5);
    lagging = false;
    log.emit(NARRATION);
    log.emit(NARRATION);
    lagging = true;
    log.emit(ERROR);
    const events = dataOf(log.text);
    expect(events.filter((data) => data['type'] === 'token')).toHaveLength(6);
    expect(events.filter((data) => data['type'] === 'narration').map((data) => data['shed'])).toEqual([5, undefined]);
    expect(events.at(-1)).toMatchObject({ type: 'error' });
    expect(idsOf(log.text)).toEqual(events.map((_, index) => index));
    expect(log.shed).toBe(5);
  });
});

describe('another wire format', () => {
  const events = (log: EventLog): void => {
    log.emit(STARTED);
    log.emit(NARRATION);
    log.emit({ type: 'token', t: 'The ', i: 0 });
    log.emit({ type: 'token', t: 'sea', i: 1 });
    log.emit(END);
  };

  test('can skip events: they use no id, and the log still begins and ends', () => {
    const log = new EventLog({
      encode: (event) => {
        if (event.type === 'token') return `data: ${JSON.stringify({ text: event.t })}\n\n`;
        return event.type === 'end' ? 'data: [DONE]\n\n' : undefined;
      },
    });
    log.emit(STARTED);
    expect([log.begun, log.next, log.bytes]).toEqual([true, 0, 0]);
    events(log);
    expect(log.text).toBe('data: {"text":"The "}\n\ndata: {"text":"sea"}\n\ndata: [DONE]\n\n');
    expect([log.next, log.over, log.keepAlive]).toEqual([3, true, undefined]);
    expect(log.take(2, 1000)).toEqual({ text: 'data: [DONE]\n\n', next: 3 });
  });

  test('can collect everything into one text at the end', () => {
    let text = '';
    const log = new EventLog({
      encode: (event) => {
        if (event.type === 'token') text += event.t;
        return event.type === 'end' ? JSON.stringify({ text, tokens: event.tokens_out }) : undefined;
      },
    });
    events(log);
    expect(JSON.parse(log.text)).toEqual({ text: 'The sea', tokens: 2 });
    expect([log.first, log.next]).toEqual([0, 1]);
  });
});
