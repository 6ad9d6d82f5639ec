/** The lines about a run: its place in the queue, the share of the prompt, tokens, speed, and the last figures. */
import { expect, test } from 'vitest';
import { RunStatus } from '../../../src/commands/ask/view/run-status.ts';
import type { StreamEvent } from '../../../src/contract/events.ts';

const correlation_id = 'c';
const told = (event: string, fields: object = {}): StreamEvent =>
  ({ type: 'narration', event, human: '', correlation_id, ...fields }) as unknown as StreamEvent;
const token = (i: number): StreamEvent => ({ type: 'token', t: 'a', i });

/** A status with a clock that the test moves. */
function started(): { status: RunStatus; pass: (ms: number) => void } {
  let now = 0;
  const status = new RunStatus(() => now);
  return {
    status,
    pass: (ms) => {
      now += ms;
    },
  };
}

test('names the place in the queue and the share of the prompt', () => {
  const { status, pass } = started();
  expect(status.current).toEqual(['starting', '0.0 s']);
  status.take(told('request.queued', { queue_position: 3, eta_ms: 4200 }));
  pass(1500);
  expect(status.current).toEqual(['number 3 in the queue, about 4.2 s left', '1.5 s']);
  status.take(told('prefill.progress', { tokens_done: 512, tokens_total: 2048, eta_ms: 100 }));
  expect(status.current).toEqual(['reading the question: 25 %', '1.5 s']);
});

test('counts tokens, and shows the speed of the last periods', () => {
  const { status, pass } = started();
  for (let i = 0; i < 12; i += 1) {
    status.take(token(i));
    pass(100);
  }
  for (let i = 12; i < 40; i += 1) {
    status.take(token(i));
    pass(10);
  }
  status.take(told('tokens.progress', { tokens_out: 40, tokens_per_sec: 28.44 }));
  const [tokens, speed, bars, seconds] = status.current;
  expect([tokens, speed, seconds]).toEqual(['40 tokens', '28.4 tokens/s', '1.5 s']);
  expect(bars).toMatch(/^[▁▂▃]{3,5}█$/);
});

test('ends with the figures, and the picture of the last sentence', () => {
  const { status } = started();
  expect(status.summary).toEqual([]);
  status.take(told('inference.complete', { tokens_per_sec: 123.4, cute: '🎉 Done! 2 tokens, fresh from the hive!' }));
  const end = { tokens_in: 1, tokens_out: 2, decode_time_ms: 9, cached_tokens: 0, correlation_id };
  const figures = { time_to_first_token_ms: 1234, queue_ms: 40, seed: 7, stop_reason: 'max_tokens' as const };
  status.take({ type: 'end', ...end, ...figures });
  expect(status.summary).toEqual([
    '🎉 2 tokens',
    '123 tokens/s',
    'first after 1.23 s',
    'waited 40 ms',
    'ended by max_tokens',
    'seed 7',
  ]);
});
