import { describe, expect, test } from 'vitest';
import { EventLog } from '../../src/jobs/event-log.ts';
import { dataOf, ERROR, idsOf, NARRATION, STARTED } from './events.ts';

describe('the events of one job', () => {
  test('are frames with contiguous ids, the name twice, and the correlation id where the contract has it', () => {
    const log = new EventLog('req-1');
    log.emit('narration', NARRATION);
    log.emit('token', { t: 'a\n\u2028b', i: 0 });
    log.emit('error', ERROR);
    expect(idsOf(log.text)).toEqual([0, 1, 2]);
    expect([...log.text.matchAll(/^event: (.*)$/gm)].map((match) => match[1])).toEqual(['narration', 'token', 'error']);
    expect(dataOf(log.text).map((data) => [data['type'], data['correlation_id']])).toEqual([
      ['narration', 'req-1'],
      ['token', undefined],
      ['error', 'req-1'],
    ]);
    expect(dataOf(log.text)[1]?.['t']).toBe('a\n\u2028b');
  });

  test('end with the first terminal event: what comes later is not written', () => {
    const log = new EventLog('req-1');
    log.emit('error', ERROR);
    log.emit('token', { t: 'late', i: 0 });
    log.emit('error', { ...ERROR, code: 'TIMEOUT' });
    expect(log.over).toBe(true);
    expect(dataOf(log.text)).toMatchObject([{ code: 'CANCELLED' }]);
  });

  test('begin with `started`: what is narrated before it is told right after it', () => {
    const log = new EventLog('req-1', { awaitsStart: true });
    log.emit('narration', NARRATION);
    expect(log.begun).toBe(false);
    log.emit('started', STARTED);
    log.emit('token', { t: 'x', i: 0 });
    log.emit('error', ERROR);
    expect(dataOf(log.text).map((data) => data['type'])).toEqual(['started', 'narration', 'token', 'error']);
  });

  test('are waited for until the first one, or until there will be none', async () => {
    const [begun, refused] = [
      new EventLog('req-1', { awaitsStart: true }),
      new EventLog('req-2', { awaitsStart: true }),
    ];
    begun.emit('started', STARTED);
    refused.close();
    await Promise.all([begun.opened, refused.opened]);
    expect([begun.begun, begun.over, refused.begun, refused.over]).toEqual([true, false, false, true]);
  });
});

describe('taking from the log', () => {
  const filled = (count: number): EventLog => {
    const log = new EventLog('req-1');
    for (let i = 0; i < count; i += 1) log.emit('token', { t: 'x', i });
    return log;
  };

  test('gives whole frames, as many as fit and at least one', () => {
    const log = filled(10);
    const frame = log.beyond(9);
    expect(idsOf(log.take(0, 3 * frame).text)).toEqual([0, 1, 2]);
    expect(log.take(0, 3 * frame).next).toBe(3);
    expect(log.take(4, 0)).toMatchObject({ text: expect.stringContaining('id: 4\n'), next: 5 });
    expect(log.take(10, 1000)).toEqual({ text: '', next: 10 });
  });

  test('from any place gives all that comes after, byte for byte', () => {
    const log = filled(20);
    const { text } = log;
    for (let from = 0; from <= 20; from += 1) {
      const rest = log.take(from, Number.POSITIVE_INFINITY).text;
      expect(text.endsWith(rest)).toBe(true);
      expect(Buffer.byteLength(rest)).toBe(log.beyond(from));
      expect(idsOf(rest)).toEqual(Array.from({ length: 20 - from }, (_, index) => from + index));
    }
  });

  test('after a trim still counts from the ids that were given', () => {
    const log = filled(20);
    const held = log.bytes;
    log.trim(held / 2, 15);
    const { first } = log;
    expect(first).toBeGreaterThan(8);
    expect(log.bytes).toBeLessThanOrEqual(held / 2);
    expect(idsOf(log.text)).toEqual(Array.from({ length: 20 - first }, (_, index) => first + index));
    expect(Buffer.byteLength(log.text)).toBe(log.beyond(first));
    log.trim(0, 15);
    expect([log.first, log.next]).toEqual([15, 20]);
    log.emit('token', { t: 'x', i: 20 });
    expect(idsOf(log.take(19, 1e6).text)).toEqual([19, 20]);
  });

  test('what the log holds is counted in bytes of memory: two a character outside of Latin-1', () => {
    const [narrow, wide] = [new EventLog('req-1'), new EventLog('req-1')];
    narrow.emit('token', { t: 'x'.repeat(1000), i: 0 });
    wide.emit('token', { t: '海'.repeat(1000), i: 0 });
    expect(wide.bytes - narrow.bytes).toBeGreaterThan(1000);
    expect(narrow.bytes).toBeGreaterThan(1000);
  });
});

describe('while every reader lags', () => {
  test('narrations and metrics are shed and counted, tokens and the end are not, and ids stay contiguous', () => {
    const log = new EventLog('req-1');
    let lagging = false;
    log.lagging = () => lagging;
    log.emit('token', { t: 'a', i: 0 });
    lagging = true;
    for (let i = 1; i <= 5; i += 1) {
      log.emit('token', { t: 'a', i });
      log.emit('narration', NARRATION);
    }
    expect(log.shed).toBe(5);
    lagging = false;
    log.emit('narration', NARRATION);
    log.emit('narration', NARRATION);
    lagging = true;
    log.emit('error', ERROR);
    const events = dataOf(log.text);
    expect(events.filter((data) => data['type'] === 'token')).toHaveLength(6);
    expect(events.filter((data) => data['type'] === 'narration').map((data) => data['shed'])).toEqual([5, undefined]);
    expect(events.at(-1)).toMatchObject({ type: 'error' });
    expect(idsOf(log.text)).toEqual(events.map((_, index) => index));
    expect(log.shed).toBe(5);
  });
});
