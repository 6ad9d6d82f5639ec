/** The check of recorded streams of /v1/responses finds planted errors. */
import { expect, test } from 'vitest';
import { ResponsesStreamEncoder } from '../../../../src/http/openai/responses/stream-encoder.ts';
import { namedProblems } from '../../../contract/named-events.ts';
import { END, ERROR, STARTED } from '../../../jobs/events.ts';
import { choiceEnd, FACTS, OPTIONS, text } from './support.ts';

const streamOf = (...events: Parameters<ResponsesStreamEncoder['encode']>[0][]): string => {
  const encoder = new ResponsesStreamEncoder(FACTS, OPTIONS);
  return events.map((event) => encoder.encode(event) ?? '').join('');
};
const GOOD = streamOf(STARTED, text('The'), choiceEnd(), END);
const problemsOf = (stream: string): string[] => namedProblems({ schema: {} }, stream);

test('a complete stream and a failed one have no problem', () => {
  expect(problemsOf(GOOD)).toEqual([]);
  expect(problemsOf(streamOf(STARTED, text('The'), ERROR))).toEqual([]);
});

test.each([
  ['a stream without an end', GOOD.replace(/event: response\.completed[\s\S]*/, '')],
  ['an end mark of another dialect', `${GOOD}data: [DONE]\n\n`],
  ['another name', GOOD.replace('event: response.in_progress', 'event: narration')],
  ['a gap in the numbers', GOOD.replace('"sequence_number":3', '"sequence_number":4')],
  ['a missing first event', GOOD.replace(/^event: response\.created\n.*\n\n/, '')],
  ['no empty line at the end', GOOD.trimEnd()],
])('%s', (_, stream) => {
  expect(problemsOf(stream)).not.toEqual([]);
});
