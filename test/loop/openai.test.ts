/** No body of OpenAI's dialect, and no conversation for `POST /tokenize`, holds the event loop. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OPENAI_LIMITS } from '../../src/contract/openai/fields.ts';
import { MAX_INPUT_ITEMS } from '../../src/contract/openai/responses/input.ts';
import { MAX_VALUES } from '../../src/http/body/json-body.ts';
import { haikuText } from '../support/haiku-text.ts';
import { CEILING_MS, turnMs } from './longest-turn.ts';
import { answerIn, BODY_BYTES, filled, type LoopServer, postOf, startLoopServer } from './loop-server.ts';

let server: LoopServer;
beforeAll(async () => {
  server = await startLoopServer({ model: await haikuText() });
});
afterAll(() => server.app.close());

const list = (length: number, value: string): string => `[${Array(length).fill(value).join()}]`;
const MESSAGE = '{"role":"user","content":"a"}';
const content = (parts: string): string => `{"messages":[{"role":"user","content":${parts}}]}`;
const input = (items: string): string => `{"input":${items}}`;
const withTools = (tools: string): string => `{"messages":[${MESSAGE}],"input":"a","max_tokens":1,"tools":${tools}}`;
/** The most objects with `keys` keys that a body can have: keys, their levels and values are bounded. */
const objects = (keys: number): number => Math.floor(7800 / keys);
const CHAT = '/v1/chat/completions';
const COMPLETIONS = '/v1/completions';
const RESPONSES = '/v1/responses';
const LONG_KEY = 'k'.repeat(20_000);

/** Bodies that cost most to check. */
const WRONG: readonly (readonly [name: string, path: string, body: string])[] = [
  ['numbers as messages', CHAT, `{"messages":${list(MAX_VALUES - 2, '1')}}`],
  ['lists as messages', CHAT, `{"messages":${list(MAX_VALUES / 2 - 2, '[]')}}`],
  ['objects as messages', CHAT, `{"messages":${list(MAX_VALUES / 2 - 2, '{}')}}`],
  ['messages with a wrong role', CHAT, `{"messages":${list(objects(2), '{"role":"x","content":1}')}}`],
  ['messages of half surrogate pairs', CHAT, `{"messages":${list(objects(2), '{"role":"user","content":"\\ud800"}')}}`],
  ['numbers as parts', CHAT, content(list(MAX_VALUES - 6, '1'))],
  ['objects as parts', CHAT, content(list(MAX_VALUES / 2 - 6, '{}'))],
  ['numbers as calls', CHAT, `{"messages":[{"role":"assistant","tool_calls":${list(MAX_VALUES - 6, '1')}}]}`],
  ['objects as tools', CHAT, withTools(list(MAX_VALUES / 2 - 12, '{}'))],
  ['wrong functions', CHAT, withTools(list(OPENAI_LIMITS.tools, '{"type":"function","function":{"name":" "}}'))],
  ['numbers as stop strings', CHAT, `{"messages":[${MESSAGE}],"stop":${list(MAX_VALUES - 12, '1')}}`],
  [
    'biases of long keys',
    CHAT,
    `{"messages":[${MESSAGE}],"logit_bias":{${Array.from({ length: 20 }, (_, index) => `"${index}${LONG_KEY}":"x"`).join()}}}`,
  ],
  [
    'wrong biases',
    CHAT,
    `{"messages":[${MESSAGE}],"logit_bias":{${Array.from({ length: 7000 }, (_, index) => `"${index}":"x"`).join()}}}`,
  ],
  ['numbers as choices', CHAT, `{"messages":[${MESSAGE}],"guided_choice":${list(MAX_VALUES - 12, '1')}}`],
  ['choices of half surrogate pairs', CHAT, `{"messages":[${MESSAGE}],"guided_choice":${list(1024, '"\\ud800"')}}`],
  ['numbers in the text of a schema', CHAT, `{"messages":[${MESSAGE}],"guided_json":"${list(MAX_VALUES - 2, '1')}"}`],
  [
    'keys in the text of a schema',
    CHAT,
    `{"messages":[${MESSAGE}],"guided_json":"[{${Array.from({ length: 8000 }, (_, at) => `\\"${at}\\":1`).join()}}]"}`,
  ],
  ['a long text of a schema', CHAT, filled('{"messages":[],"guided_json":"[\\"', '\\\\\\"', '\\"]"}')],
  ['a long expression', CHAT, filled('{"messages":[],"guided_regex":"', '🐝', '"}')],
  ['a long text of quotes', CHAT, filled('{"messages":[{"role":"user","content":"', '\\"', '"}]}')],
  ['numbers and a text as prompts', COMPLETIONS, `{"prompt":${list(MAX_VALUES - 4, '1').slice(0, -1)},"a"]}`],
  ['as many ids as allowed', COMPLETIONS, `{"prompt":${list(MAX_VALUES - 2, '1')}}`],
  ['lists of ids', COMPLETIONS, `{"prompt":${list(120, list(500, '1'))},"max_tokens":1}`],
  ['empty lists as prompts', COMPLETIONS, `{"prompt":${list(MAX_VALUES / 2 - 2, '[]')}}`],
  ['texts as prompts', COMPLETIONS, `{"prompt":${list(60_000, '"a"')}}`],
  ['a long prompt of emoji', COMPLETIONS, filled('{"prompt":"', '🐝', '"}')],
  ['numbers as items', RESPONSES, input(list(MAX_VALUES - 2, '1'))],
  ['objects as items', RESPONSES, input(list(MAX_VALUES / 2 - 2, '{}'))],
  ['items of an unknown type with wrong parts', RESPONSES, input(list(objects(2), '{"role":"user","content":[1]}'))],
  ['messages with a wrong role', RESPONSES, input(list(objects(2), '{"role":"x","content":1}'))],
  ['calls without fields', RESPONSES, input(list(objects(1), '{"type":"function_call"}'))],
  ['numbers as parts', RESPONSES, input(`[{"role":"user","content":${list(MAX_VALUES - 6, '1')}}]`)],
  ['objects as parts', RESPONSES, input(`[{"role":"user","content":${list(MAX_VALUES / 2 - 6, '{}')}}]`)],
  ['numbers as tools', RESPONSES, withTools(list(MAX_VALUES - 12, '1'))],
  ['functions without fields', RESPONSES, withTools(list(objects(1) - 20, '{"type":"function"}'))],
  [
    'allowed tools of numbers',
    RESPONSES,
    `{"tool_choice":{"type":"allowed_tools","mode":"auto","tools":${list(60_000, '1')}}}`,
  ],
  ['numbers as wishes', RESPONSES, `{"include":${list(60_000, '1')}}`],
  ['wrong metadata', RESPONSES, `{"metadata":{${Array.from({ length: 7000 }, (_, index) => `"${index}":1`).join()}}}`],
  ['numbers as messages', '/tokenize', `{"messages":${list(MAX_VALUES - 2, '1')}}`],
  ['objects as messages', '/tokenize', `{"messages":${list(MAX_VALUES / 2 - 2, '{}')}}`],
  ['numbers as parts', '/tokenize', content(list(MAX_VALUES - 6, '1'))],
  ['numbers as tools', '/tokenize', withTools(list(MAX_VALUES - 12, '1'))],
];

/** Longest answer, in characters. */
const MAX_ANSWER = 16_384;

test.each(WRONG)('%s for %s', async (_, path, body) => {
  expect(Buffer.byteLength(body)).toBeLessThanOrEqual(BODY_BYTES);
  const answer = answerIn(await server.send(postOf(path, body)));
  expect({ status: answer.status, answer: answer.body.slice(0, 300) }).toMatchObject({ status: 400 });
  expect(answer.body.length).toBeLessThan(MAX_ANSWER);
  expect(await turnMs(() => server.send(postOf(path, body)))).toBeLessThan(CEILING_MS);
});

/** Bodies that cost most to answer. */
const RIGHT: readonly (readonly [name: string, path: string, status: number, body: string])[] = [
  ['texts in many messages', CHAT, 200, `{"messages":${list(100, MESSAGE)},"max_tokens":1}`],
  ['texts in many parts', CHAT, 200, content(list(OPENAI_LIMITS.parts, '{"type":"text","text":"a"}'))],
  [
    'as many empty messages as allowed',
    CHAT,
    400,
    `{"messages":${list(OPENAI_LIMITS.messages, '{"role":"user","content":""}')}}`,
  ],
  ['tools of other types', CHAT, 200, withTools(list(OPENAI_LIMITS.tools, '{"type":"web_search"}'))],
  ['items of other types', RESPONSES, 200, input(list(MAX_INPUT_ITEMS, '{"type":"more"}'))],
  ['reasoning', RESPONSES, 200, input(list(MAX_INPUT_ITEMS, '{"type":"reasoning"}'))],
  [
    'as many prompts as allowed',
    COMPLETIONS,
    200,
    `{"prompt":${list(OPENAI_LIMITS.sequences, '"a"')},"echo":true,"max_tokens":1}`,
  ],
];

test.each(RIGHT)('%s for %s', async (_, path, status, body) => {
  const answer = answerIn(await server.send(postOf(path, body)));
  expect({ status: answer.status, answer: answer.body.slice(0, 300) }).toMatchObject({ status });
  expect(await turnMs(() => server.send(postOf(path, body)))).toBeLessThan(CEILING_MS);
});
