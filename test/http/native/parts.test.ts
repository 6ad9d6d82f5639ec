/** The native stream of an output with parts, from hand-made events. */

import { expect, test } from 'vitest';
import { EVENTS } from '../../../src/contract/events.ts';
import { sseEncoder } from '../../../src/http/sse.ts';
import type { JobEvent } from '../../../src/jobs/job-events.ts';
import { exactMessages } from '../../support/sse-form.ts';
import { content, piece } from '../openai/events.ts';

/** The data of an event of the stream, which the contract accepts. */
function dataOf(event: JobEvent): unknown {
  const frame = sseEncoder('req-1', 'run').encode(event, 7) ?? '';
  const [message] = exactMessages(frame);
  expect([message?.id, message?.event]).toEqual(['run-7', 'token']);
  const data: unknown = JSON.parse(message?.data ?? '');
  expect(EVENTS.token.strict().safeParse(data).error).toBeUndefined();
  return data;
}

test.each([
  [content('Well'), { t: 'Well' }],
  [piece({ kind: 'reasoning', text: 'Hm' }), { t: 'Hm', part: 'reasoning' }],
  [
    piece({ kind: 'call', index: 1, id: 'abcdefghi', name: 'look' }),
    { t: 'look', part: 'tool_name', call: 1, call_id: 'abcdefghi' },
  ],
  [piece({ kind: 'arguments', index: 1, text: '{"a":' }), { t: '{"a":', part: 'tool_arguments', call: 1 }],
])('%j', (event, fields) => {
  expect(dataOf(event)).toEqual({ type: 'token', i: 0, ...fields });
});

test('a piece without a part has the fields of an output that is one text', () => {
  const frame = sseEncoder('req-1').encode({ type: 'token', t: 'Well', i: 3, tokensOut: 1, choice: 0 }, 7);
  expect(frame).toBe('id: 7\nevent: token\ndata: {"type":"token","t":"Well","i":3}\n\n');
});

test('a part keeps the scores of its tokens', () => {
  const scored = piece({ kind: 'reasoning', text: 'Hm' }, { id: 5, logprob: -1, top: [] });
  expect(dataOf(scored)).toEqual({ type: 'token', t: 'Hm', i: 0, part: 'reasoning', id: 5, logprob: -1, top: [] });
});
