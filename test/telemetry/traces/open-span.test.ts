/** The limits of a span. */
import { expect, test } from 'vitest';
import { OpenSpan, SpanClock, type SpanLimits } from '../../../src/telemetry/traces/open-span.ts';
import { SPAN_KINDS } from '../../../src/telemetry/traces/span.ts';

const LIMITS: SpanLimits = { attributes: 128, events: 128, eventAttributes: 128, valueChars: 100 };

function open(limits: Partial<SpanLimits>, clock = new SpanClock(0, 0)): OpenSpan {
  const context = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 };
  return new OpenSpan({
    context,
    parent: undefined,
    name: 'span',
    kind: SPAN_KINDS.internal,
    at: 1.5,
    clock,
    limits: { ...LIMITS, ...limits },
  });
}

test('attributes above the limit are dropped and counted; a known one can change', () => {
  const span = open({ attributes: 2 });
  span.set({ a: 1, b: undefined, c: 2 });
  span.set({ a: 3, d: 4, e: 5 });
  expect(span.end(2)).toMatchObject({ attributes: { a: 3, c: 2 }, droppedAttributes: 2 });
});

test('above the limit, progress reports make room for the events after them', () => {
  const span = open({ events: 3 });
  for (const name of ['first', 'progress', 'progress', 'second', 'last', 'one too many'])
    span.event(name, {}, name === 'progress');
  const { events, droppedEvents } = span.end(2);
  expect(events.map(({ name }) => name)).toEqual(['first', 'second', 'last']);
  expect(droppedEvents).toBe(3);
});

test('texts are cut, and never inside of a surrogate pair', () => {
  const span = open({ valueChars: 3, eventAttributes: 1 });
  span.set({ text: 'abcdef', list: ['abcdef', 'ab'], pair: 'ab🐝' });
  span.event('event', { one: 'abcdef', two: 2 }, false);
  const { attributes, events } = span.end(2);
  expect(attributes).toEqual({ text: 'abc', list: ['abc', 'ab'], pair: 'ab' });
  expect(events[0]).toMatchObject({ attributes: { one: 'abc' }, droppedAttributes: 1 });
});

test('times have nanoseconds, and a span does not end before its start', () => {
  const clock = new SpanClock(1, 1_796_058_359_996);
  expect(open({}, clock).end(2.25)).toMatchObject({
    start: 1_796_058_359_996_500_000n,
    end: 1_796_058_359_997_250_000n,
  });
  expect(open({}, clock).end(0)).toMatchObject({ end: 1_796_058_359_996_500_000n });
});
