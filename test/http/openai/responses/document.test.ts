/** The answer of /v1/responses without a stream, for hand-made events of a job. */
import { expect, test } from 'vitest';
import { ResponsesAnswer } from '../../../../src/contract/openai/responses/answer.ts';
import { ResponsesDocumentEncoder } from '../../../../src/http/openai/responses/document-encoder.ts';
import type { JobEvent } from '../../../../src/jobs/job-events.ts';
import { END, ERROR, NARRATION, STARTED } from '../../../jobs/events.ts';
import { args, call, choiceEnd, FACTS, OPTIONS, reasoning, text } from './support.ts';

function documentOf(events: readonly JobEvent[], narration = false) {
  const encoder = new ResponsesDocumentEncoder(FACTS, { ...OPTIONS, narration });
  const texts = events.flatMap((event) => encoder.encode(event) ?? []);
  expect(texts).toHaveLength(1);
  return { status: encoder.status, body: JSON.parse(texts[0] ?? '') as Record<string, unknown> };
}

const job = [
  STARTED,
  NARRATION,
  reasoning('Hm.'),
  text('The sea'),
  call(0, 'abcdefghi', 'f'),
  args(0, '{}'),
  choiceEnd({ reasoningTokens: 1 }),
  END,
];

test('a complete job: one response object with the fields of the contract and no other', () => {
  const { status, body } = documentOf(job);
  expect(status).toBe(200);
  expect(ResponsesAnswer.parse(body)).toEqual(body);
  expect(body).toMatchObject({
    status: 'completed',
    created_at: Math.floor(Date.parse(STARTED.started_at) / 1000),
    output: [
      { type: 'reasoning', content: [{ text: 'Hm.' }] },
      { type: 'message', content: [{ text: 'The sea' }] },
      { type: 'function_call', call_id: 'abcdefghi', arguments: '{}' },
    ],
    usage: { output_tokens_details: { reasoning_tokens: 1 } },
  });
  expect(body).not.toHaveProperty('narration');
});

test('the narration is a list, if the caller asks for it', () => {
  const { body } = documentOf(job, true);
  expect(body['narration']).toEqual([{ ...NARRATION, correlation_id: 'req-1' }]);
  expect(ResponsesAnswer.parse(body)).toEqual(body);
});

test('the maximum of tokens', () => {
  const { status, body } = documentOf([
    STARTED,
    call(0, 'abcdefghi', 'f'),
    args(0, '{"a'),
    choiceEnd({ reason: 'max_tokens' }),
    { ...END, stop_reason: 'max_tokens' },
  ]);
  expect(status).toBe(200);
  expect(body).toMatchObject({
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
    output: [{ type: 'function_call', status: 'incomplete', arguments: '{"a' }],
  });
});

test.each([
  ['TIMEOUT', 'here', 504, 'server_error'],
  ['CANCELLED', 'never', 499, 'invalid_request_error'],
  ['ENGINE_LOST', 'elsewhere', 503, 'server_error'],
  // The job itself has ended the engine: a proxy must not send it to another worker.
  ['ENGINE_LOST', 'never', 500, 'server_error'],
] as const)('a failed job: %s with the retry %s as an error with its HTTP status', (code, retry, wanted, type) => {
  const { status, body } = documentOf([STARTED, text('The'), { ...ERROR, code, retry, message: 'Sentence.' }]);
  expect(status).toBe(wanted);
  expect(body).toEqual({ error: { message: 'Sentence.', type, param: null, code: code.toLowerCase() } });
});
