/** The story of a request: phases, clocks and speeds, from the events of a stream. */
import { describe, expect, test } from 'vitest';
import type { StreamEvent } from '../../src/contract/events.ts';
import { causeOf } from '../../src/page/story/causes.ts';
import { place } from '../../src/page/story/clock.ts';
import { speeds } from '../../src/page/story/speed.ts';
import { addToStory, newStory, phaseOf, type Story } from '../../src/page/story/story.ts';

const SENT_AT = 1_800_000_000_000;
const correlation_id = 'c';

/** A narration with some facts. */
const told = (event: string, facts: object = {}): StreamEvent =>
  ({ type: 'narration', event, level: 'INFO', human: event, actor: 'a', target: 't', ...facts }) as StreamEvent;
const token = (i: number): StreamEvent => ({ type: 'token', t: 'x', i });
const end = (facts: object): StreamEvent =>
  ({ type: 'end', seed: 1, stop_reason: 'eos', correlation_id, ...facts }) as StreamEvent;

/** A story of events that arrive at these milliseconds. */
function storyOf(...events: readonly (readonly [at: number, event: StreamEvent])[]): Story {
  const story = newStory(SENT_AT);
  for (const [at, event] of events) addToStory(story, event, SENT_AT + at);
  return story;
}

/** 21 tokens in 20 ms, which a network delivers 30 ms later. */
const QUICK = storyOf(
  [40, { type: 'started', job_id: 'j', model: 'm', seed: 1, correlation_id } as StreamEvent],
  [40, told('request.validated')],
  [41, told('request.queued', { queue_position: 1 })],
  [45, told('cache.reset')],
  ...Array.from({ length: 10 }, (_, i) => [50, token(i)] as const),
  [51, told('tokens.progress', { tokens_out: 10, decode_time_ms: 9 })],
  ...Array.from({ length: 11 }, (_, i) => [70, token(10 + i)] as const),
  [70, told('inference.complete', { tokens_out: 21, decode_time_ms: 20 })],
  [71, told('time.explained', { duration_ms: 42, queue_ms: 5, prefill_ms: 10, decode_time_ms: 20 })],
  [
    71,
    end({
      tokens_in: 5,
      tokens_out: 21,
      time_to_first_token_ms: 20,
      decode_time_ms: 20,
      queue_ms: 5,
      cached_tokens: 0,
    }),
  ],
);

describe('a request that runs', () => {
  test('goes through its phases on the clock of the page', () => {
    const story = storyOf(
      [1, told('request.validated')],
      [2, told('request.queued')],
      [10, told('cache.reset')],
      [20, token(0)],
      [30, told('generation.paused')],
      [50, told('generation.resumed')],
      [51, token(1)],
    );
    expect(phaseOf(story)).toBe('writing');
    const { clock, total, stretches } = place(story, 60);
    expect({ clock, total }).toEqual({ clock: 'page', total: 60 });
    expect(stretches).toEqual([
      { phase: 'preparing', from: 0, to: 2 },
      { phase: 'queued', from: 2, to: 10 },
      { phase: 'reading', from: 10, to: 20 },
      { phase: 'writing', from: 20, to: 30 },
      { phase: 'paused', from: 30, to: 50 },
      { phase: 'writing', from: 50, to: 60 },
    ]);
  });

  test('that stalls before its first token goes back to its reading', () => {
    const story = storyOf([1, told('cache.reset')], [2, told('request.stalled')], [9, told('request.recovered')]);
    expect(phaseOf(story)).toBe('reading');
  });

  test.each(['request.interrupted', 'request.preempted', 'request.held'])(
    'is interrupted by %s until it goes on',
    (event) => {
      const story = storyOf([1, told('cache.reset')], [2, token(0)], [3, told(event)], [9, told('request.resumed')]);
      const phases = place(story, 10).stretches.map(({ phase, from, to }) => [phase, from, to]);
      expect(phases.slice(2)).toEqual([
        ['writing', 2, 3],
        ['interrupted', 3, 9],
        ['writing', 9, 10],
      ]);
      const causes = story.sentences.map((sentence) => causeOf(sentence)?.slower);
      expect(causes).toEqual([undefined, true, false]);
    },
  );

  test('that is interrupted before its first token goes back to its reading', () => {
    const story = storyOf([1, told('cache.reset')], [2, told('request.interrupted')], [9, told('request.resumed')]);
    expect(phaseOf(story)).toBe('reading');
  });

  test('keeps its events after they are added again in another order of arrival', () => {
    const story = storyOf([5, told('cache.reset')], [4, token(0)]);
    expect(place(story, 10).stretches.every(({ from, to }) => to >= 0 && from >= 0)).toBe(true);
  });
});

describe('a complete request', () => {
  const placed = place(QUICK, 1000);

  test('moves to the clock of the worker', () => {
    expect(placed.clock).toBe('worker');
    expect(placed.total).toBe(42);
    expect(placed.stretches).toEqual([
      { phase: 'preparing', from: 0, to: 5 },
      { phase: 'queued', from: 5, to: 10 },
      { phase: 'reading', from: 10, to: 20 },
      { phase: 'writing', from: 20, to: 40 },
      { phase: 'finishing', from: 40, to: 42 },
    ]);
  });

  test('has its sentences in order, at the times that their facts tell', () => {
    expect(placed.times).toEqual([...placed.times].sort((a, b) => a - b));
    const timeOf = (event: string): number | undefined =>
      placed.times[QUICK.sentences.findIndex((sentence) => sentence.event === event)];
    expect(timeOf('cache.reset')).toBe(10);
    expect(timeOf('tokens.progress')).toBe(29);
    expect(timeOf('inference.complete')).toBe(40);
    expect(timeOf('time.explained')).toBe(42);
  });

  test('takes the speed of a short decode from the reports of the worker', () => {
    expect(placed.curve).toEqual([
      [20, 1],
      [29, 10],
      [40, 21],
    ]);
    const points = speeds(placed.curve);
    expect(points.length).toBeGreaterThan(10);
    for (const { at, value } of points) {
      expect(at).toBeGreaterThanOrEqual(20);
      expect(at).toBeLessThanOrEqual(40.001);
      expect(value).toBeCloseTo(1000, 3);
    }
  });
});

test('a speed that halves is a curve that halves', () => {
  const curve = Array.from({ length: 101 }, (_, index): [number, number] => [
    index * 10,
    index <= 50 ? index * 2 : 100 + (index - 50),
  ]);
  const points = speeds(curve);
  expect(points[5]?.value).toBeCloseTo(200, 5);
  expect(points.at(-6)?.value).toBeCloseTo(100, 5);
});

test.each([
  [[]],
  [[[5, 1]]],
  [
    [
      [5, 1],
      [5, 9],
    ],
  ],
] as [number, number][][][])('no speed from %j', (curve) => {
  expect(speeds(curve)).toEqual([]);
});

test('a long story stays bounded, and keeps its rare sentences', () => {
  const story = newStory(SENT_AT);
  addToStory(story, told('request.validated'), SENT_AT);
  for (let at = 0; at < 3000; at += 1) {
    addToStory(story, token(at), SENT_AT + 2 * at);
    addToStory(story, told('tokens.progress', { tokens_out: at }), SENT_AT + 2 * at);
  }
  expect(story.sentences.length).toBeLessThanOrEqual(600);
  expect(story.sentences[0]?.event).toBe('request.validated');
  expect(story.sentences.at(-1)?.facts['tokens_out']).toBe(2999);
  expect(story.arrivals.length).toBeLessThanOrEqual(2000);
  expect(story.tokens).toBe(3000);
});

test.each([
  ['batch.grew', {}, 'a neighbour joined'],
  ['generation.slowed', { cause: 'machine' }, 'slower: a busy machine'],
  ['generation.slowed', { cause: 'unknown' }, 'slower'],
  ['reader.slow', {}, 'a slow reader'],
  ['tokens.progress', {}, undefined],
])('%s %j is marked as %s', (event, facts, label) => {
  const [sentence] = storyOf([0, told(event, facts)]).sentences;
  expect(sentence && causeOf(sentence)?.label).toBe(label);
});
