/** The reports of several lives of a sequence are one story: no token twice, and the times of the whole. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Lives } from '../../src/bridge/lives.ts';
import type { Finish, Note, SequenceReport } from '../../src/protocol/messages.ts';
import { request } from '../engine/harness.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const PROMPT = [0, 17, 42, 7];
const started = (cachedTokens = 0, queueMs = 2): Note => ({
  note: 'started',
  slot: 0,
  cachedTokens,
  others: 0,
  queueMs,
});
const report = (parts: Partial<SequenceReport> = {}): SequenceReport => ({ id: 1, notes: [], tokens: [], ...parts });
const ids = (...tokens: number[]): SequenceReport => report({ tokens: tokens.map((id) => ({ id })) });
const finish = (reason: 'max_tokens' | 'cancelled', cachedTokens = 0): Finish => ({
  reason,
  cachedTokens,
  drafted: 0,
  accepted: 0,
  timings: { queueMs: 0.5, prefillMs: 1, decodeMs: 3 },
});
const later = (ms: number): void => {
  vi.advanceTimersByTime(ms);
};

test('the request of the next life has the ids of all lives before it', () => {
  const asked = request({ prompt: PROMPT, continued: [9] });
  const lives = new Lives(asked);
  expect(lives.next).toEqual(asked);
  lives.add(report({ notes: [started()] }));
  lives.add(ids(5, 6));
  lives.interrupt();
  expect(lives.next).toEqual({ ...asked, continued: [9, 5, 6] });
  lives.add(report({ notes: [started()], tokens: [{ id: 7 }] }));
  expect([lives.next.continued, lives.generated]).toEqual([[9, 5, 6, 7], 4]);
});

test('a sequence without output is submitted as it was', () => {
  const asked = request();
  expect(new Lives(asked).next).toBe(asked);
});

test('an undisturbed sequence has the figures of its engine', () => {
  const lives = new Lives(request());
  const end = finish('max_tokens', 2);
  lives.add(report({ notes: [started(2)] }));
  later(50);
  expect(lives.add({ ...ids(5), finish: end })).toEqual({ report: { ...ids(5), finish: end } });
});

test('the first token after an interruption reports the lost time and the recomputed ids', () => {
  const lives = new Lives(request({ prompt: PROMPT }));
  lives.add(report({ notes: [started()] }));
  later(10);
  lives.add(ids(5, 6));
  later(30);
  lives.interrupt();
  expect([lives.hasSlot, lives.began]).toEqual([false, true]);
  later(200);
  lives.add(report({ notes: [{ note: 'queued', position: 1, etaMs: 5 }] }));
  expect(lives.add(report({ notes: [started(1)] })).resumed).toBeUndefined();
  expect(lives.hasSlot).toBe(true);
  later(20);
  expect(lives.add(ids(7)).resumed).toEqual({ recomputed: 5, lostMs: 250 });
  expect(lives.add(ids(8)).resumed).toBeUndefined();
});

test('two losses before the next token are one interruption', () => {
  const lives = new Lives(request({ prompt: PROMPT }));
  lives.add(report({ notes: [started()] }));
  lives.add(ids(5));
  for (let loss = 0; loss < 2; loss += 1) {
    lives.interrupt();
    later(100);
    lives.add(report({ notes: [started()] }));
  }
  expect(lives.add(ids(6)).resumed).toEqual({ recomputed: 5, lostMs: 200 });
});

test('the totals have the queue and the cache of the first life, and all its time', () => {
  const lives = new Lives(request({ prompt: PROMPT }));
  lives.add(report({ notes: [started(3)] }));
  later(4);
  lives.add(ids(5));
  later(6);
  lives.interrupt();
  later(100);
  lives.add(report({ notes: [started(0, 90)] }));
  later(10);
  const { report: last } = lives.add({ ...ids(6), finish: finish('max_tokens') });
  expect(last.finish).toMatchObject({ cachedTokens: 3, timings: { queueMs: 2, prefillMs: 4, decodeMs: 116 } });
});

test('an interrupted prefill lasts until the first token', () => {
  const lives = new Lives(request({ prompt: PROMPT }));
  lives.add(report({ notes: [started()] }));
  lives.interrupt();
  later(100);
  lives.add(report({ notes: [started()] }));
  later(5);
  const told = lives.add({ ...ids(6), finish: finish('max_tokens') });
  expect(told.report.finish).toMatchObject({ timings: { queueMs: 2, prefillMs: 105, decodeMs: 0 } });
  expect(told.resumed).toEqual({ recomputed: 4, lostMs: 105 });
});

test('a sequence that waited for its first engine has waited in both queues', () => {
  const lives = new Lives(request());
  later(70);
  lives.waited();
  expect(lives.add(report({ notes: [started()] })).report.notes).toEqual([started(0, 72)]);
  const { report: last } = lives.add({ ...ids(5), finish: finish('max_tokens') });
  expect(last.finish?.timings).toEqual({ queueMs: 70.5, prefillMs: 1, decodeMs: 3 });
});

test('a preempted sequence has no slot until it starts again', () => {
  const lives = new Lives(request({ prompt: PROMPT }));
  lives.add(report({ notes: [started()] }));
  lives.add(ids(5));
  const preempted = report({ tokens: [{ id: 6 }], notes: [{ note: 'preempted', tokens: 6 }] });
  expect(lives.add(preempted)).toEqual({ report: preempted });
  expect(lives.hasSlot).toBe(false);
  later(40);
  lives.add(report({ notes: [started(2)] }));
  expect(lives.hasSlot).toBe(true);
  expect(lives.add(ids(7)).resumed).toEqual({ recomputed: 4, lostMs: 40 });
});

test('a cancel during an interruption does not end it as a success', () => {
  const lives = new Lives(request());
  lives.add(report({ notes: [started(1)] }));
  lives.add(ids(5));
  lives.interrupt();
  expect(lives.cancelled()).toMatchObject({ reason: 'cancelled', cachedTokens: 1, timings: { queueMs: 2 } });
  expect(lives.add(report({ finish: finish('cancelled') }))).not.toHaveProperty('resumed');
});

test('scores of the prompt are reported once', () => {
  const score = (id: number) => ({ id, logprob: -1, top: [] });
  const scored = (from: number, ...scores: number[]): SequenceReport =>
    report({ promptScores: { from, scores: scores.map(score) } });
  const lives = new Lives(request({ prompt: PROMPT, promptLogprobs: 0 }));
  lives.add(report({ notes: [started()] }));
  expect(lives.add(scored(1, 17, 42)).report.promptScores).toEqual({ from: 1, scores: [17, 42].map(score) });
  lives.interrupt();
  lives.add(report({ notes: [started()] }));
  const repeated = lives.add(scored(1, 17));
  expect(repeated.report).not.toHaveProperty('promptScores');
  expect(repeated.resumed).toBeUndefined();
  const { report: next, resumed } = lives.add(scored(2, 42, 7));
  expect(next.promptScores).toEqual({ from: 3, scores: [score(7)] });
  expect(resumed).toBeDefined();
});
