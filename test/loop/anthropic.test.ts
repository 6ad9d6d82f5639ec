/** No body of the Messages API or of the tokenizer routes holds the event loop. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MAX_IDS } from '../../src/contract/tokenizer/request.ts';
import { MAX_VALUES } from '../../src/http/body/json-body.ts';
import { MAX_ELEMENTS } from '../../src/http/dialect/bounded-lists.ts';
import { haikuText } from '../support/haiku-text.ts';
import { CEILING_MS, turnMs } from './longest-turn.ts';
import { answerIn, filled, type LoopServer, postOf, startLoopServer } from './loop-server.ts';

let server: LoopServer;
beforeAll(async () => {
  server = await startLoopServer({ model: await haikuText() });
});
afterAll(() => server.app.close());

const list = (length: number, value: string): string => `[${Array(length).fill(value).join()}]`;
const content = (blocks: string): string => `{"messages":[{"role":"user","content":${blocks}}]}`;
const START = '{"messages":[{"role":"user","content":"';
const END = '"}]}';

const BODIES: readonly (readonly [name: string, path: string, status: number, body: string])[] = [
  ['as many wrong blocks as allowed', '/v1/messages', 400, content(list(MAX_ELEMENTS - 1, '1'))],
  ['as many blocks without fields as allowed', '/v1/messages', 400, content(list(MAX_ELEMENTS - 1, '{}'))],
  ['more wrong blocks', '/v1/messages', 400, content(list(MAX_VALUES - 4, '1'))],
  ['wrong messages', '/v1/messages', 400, `{"messages":${list(MAX_ELEMENTS, '[]')}}`],
  [
    'wrong results of calls',
    '/v1/messages',
    400,
    content(`[{"type":"tool_result","tool_use_id":"a","content":${list(MAX_ELEMENTS - 2, '{}')}}]`),
  ],
  ['wrong stop sequences', '/v1/messages', 400, `{"messages":[],"stop_sequences":${list(MAX_ELEMENTS, '1')}}`],
  ['a long text of quotes', '/v1/messages', 400, filled(START, '\\"', END)],
  ['a long text of emoji', '/v1/messages/count_tokens', 400, filled(START, '🐝', END)],
  ['texts in many blocks', '/v1/messages', 200, content(list(200, '{"type":"text","text":"a"}'))],
  ['texts in many blocks', '/v1/messages/count_tokens', 200, content(list(500, '{"type":"text","text":"a"}'))],
  ['as many ids as allowed', '/detokenize', 200, `{"tokens":${list(MAX_IDS, '1023')}}`],
  ['as many wrong ids as allowed', '/detokenize', 400, `{"tokens":${list(MAX_IDS, '"1"')}}`],
  ['a text for the thread', '/tokenize', 200, `{"prompt":"${'the sea '.repeat(16_000)}","return_token_strs":true}`],
  ['a long prompt of quotes', '/tokenize', 400, filled('{"prompt":"', '\\"', '"}')],
];

test.each(BODIES)('%s for %s', async (_, path, status, body) => {
  const answer = answerIn(await server.send(postOf(path, body)));
  expect({ status: answer.status, answer: answer.body.slice(0, 300) }).toMatchObject({ status });
  expect(await turnMs(() => server.send(postOf(path, body)))).toBeLessThan(CEILING_MS);
});
