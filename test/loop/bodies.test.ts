/** No body holds the event loop: the most expensive ones of the maximum size, through the whole server. */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAX_KEY_LEVELS, MAX_KEYS, MAX_LEVELS, MAX_VALUES, structureExcess } from '../../src/http/body/json-body.ts';
import { CEILING_MS, callMs, turnMs } from './longest-turn.ts';
import { answerIn, BODY_BYTES, filled, type LoopServer, postOf, startLoopServer } from './loop-server.ts';

let server: LoopServer;
beforeAll(async () => {
  server = await startLoopServer();
});
afterAll(() => server.app.close());

const HEAD = '{"job_id":"job","prompt":"x"';
const MORE = `${HEAD},"more":`;
/** A valid body with as many more keys as fit, at most `most`. */
function keysOf(key: (index: number) => string, most = Number.POSITIVE_INFINITY): string {
  let body = HEAD;
  for (let index = 0; index < most; index += 1) {
    const more = `,${JSON.stringify(key(index))}:0`;
    if (body.length + more.length >= BODY_BYTES) break;
    body += more;
  }
  return `${body}}`;
}
const objectWith = (value: object): string => JSON.stringify({ job_id: 'job', prompt: 'x', ...value });
const listOf = (length: number, value: unknown): unknown[] => Array(length).fill(value);

/** Bodies that the pass over the structure refuses, before they are parsed. */
const REFUSED: readonly (readonly [name: string, constraint: string, body: string])[] = [
  ['50 000 keys', 'keys', keysOf((index) => `k${index}`)],
  ['50 000 keys that are numbers', 'keys', keysOf((index) => String((index * 102_953) % 4_294_967_000))],
  ['the same key again and again', 'keys', filled(HEAD, ',"a":0', '}')],
  ['keys like __proto__', 'keys', filled(HEAD, ',"\\u005f_proto_":0', '}')],
  ['objects with one key', 'keys', filled(`${MORE}[`, '{"a":1}', ']}', ',')],
  ['keys in deep objects', 'key_depth', filled(`${MORE}[`, `${'{"a":'.repeat(28)}1${'}'.repeat(28)}`, ']}', ',')],
  ['numbers', 'values', filled(`${MORE}[`, '0', ']}', ',')],
  ['numbers like 1e308', 'values', filled(`${MORE}[`, '1e308', ']}', ',')],
  ['empty lists', 'values', filled(`${MORE}[`, '[]', ']}', ',')],
  ['empty objects', 'values', filled(`${MORE}[`, '{}', ']}', ',')],
  ['empty strings', 'values', filled(`${MORE}[`, '""', ']}', ',')],
  ['deep lists', 'values', filled(`${MORE}[`, '['.repeat(28) + ']'.repeat(28), ']}', ',')],
  ['lists beside a key that looks like a prototype', 'values', filled(`{"constructor":1,"a":[`, '[]', ']}', ',')],
  ['brackets', 'depth', '['.repeat(BODY_BYTES)],
];

describe('a body with too much structure is refused in one pass', () => {
  test.each(REFUSED)('%s: %s', async (_, constraint, body) => {
    expect(body.length).toBeGreaterThan(BODY_BYTES - 100);
    const { status, body: answer } = answerIn(await server.send(postOf('/execute', body)));
    expect(status).toBe(400);
    expect(JSON.parse(answer)).toMatchObject({ error: { errors: [{ field: 'body', constraint }] } });
    expect(await turnMs(() => server.send(postOf('/execute', body)))).toBeLessThan(CEILING_MS);
  });
});

/** Bodies of bounded structure that are parsed, or fail to parse, at the highest cost. */
const TRIED: readonly (readonly [name: string, status: number, body: string])[] = [
  ['spaces', 400, `${' '.repeat(BODY_BYTES - 2)}{}`],
  ['closing brackets', 400, ']'.repeat(BODY_BYTES)],
  ['an open string of backslashes', 400, `"${'\\'.repeat(BODY_BYTES - 1)}`],
  ['open strings', 400, filled('', '"a', '')],
  ['backslashes', 200, filled(`${MORE}"`, '\\\\', '"}')],
  ['quotes', 200, filled(`${MORE}"`, '\\"', '"}')],
  ['escapes', 200, filled(`${MORE}"`, '\\u0041', '"}')],
  ['escaped surrogates', 200, filled(`${MORE}"`, '\\ud83d\\udc1d', '"}')],
  ['one long key', 200, filled(`${HEAD},"`, '\\u0001', '":1}')],
  ['long keys', 200, keysOf((index) => `${index}${'k'.repeat(435)}`, MAX_KEYS - 2)],
  ['one long number', 200, filled(`${MORE}1`, '3', '}')],
  ['numbers between two doubles', 200, filled(`${MORE}[`, `2.2250738585072011${'3'.repeat(760)}e-308`, ']}', ',')],
  ['as many numbers as allowed', 200, `${MORE}[${listOf(MAX_VALUES - 3, '1e-30').join()}]}`],
  ['as many lists as allowed', 200, `${MORE}[${listOf(MAX_VALUES / 2 - 3, '[]').join()}]}`],
  [
    'as many lists as allowed beside a key that looks like a prototype',
    200,
    `${HEAD},"constructor":1,"more":[${listOf(MAX_VALUES / 2 - 3, '[]').join()}]}`,
  ],
  ['a prototype', 400, filled(`${HEAD},"__proto__":"`, '\\u0041', '"}')],
  ['an escaped prototype', 400, filled(`${HEAD},"\\u005f\\u005fproto__":{},"more":"`, '\\u005f', '"}')],
  ['a constructor with a prototype', 400, filled(`${HEAD},"constructor":{"prototype":1},"more":"`, ' ', '"}')],
  ['what looks like a prototype', 200, filled(`${MORE}"`, '\\"__proto__\\" ', '"}')],
  ['text that is not ASCII', 200, filled(`${MORE}"`, '🐝', '"}')],
];

test.each(TRIED)('a body of %s gets %i', async (_, status, body) => {
  expect(answerIn(await server.send(postOf('/execute', body))).status).toBe(status);
  expect(await turnMs(() => server.send(postOf('/execute', body)))).toBeLessThan(CEILING_MS);
});

/** Compressed bodies: bombs, and the most expensive texts that are accepted. */
const COMPRESSED: readonly (readonly [name: string, status: number, coding: string, body: Buffer])[] = [
  ['spaces that are refused', 413, 'gzip', gzipSync(' '.repeat(2 ** 24))],
  ['spaces that are refused', 413, 'br', brotliCompressSync(' '.repeat(2 ** 24))],
  ['nothing, again and again', 400, 'gzip', Buffer.concat(Array(20_000).fill(gzipSync('')))],
  ['as many numbers as allowed', 200, 'gzip', gzipSync(`${MORE}[${listOf(MAX_VALUES - 3, '1e-30').join()}]}`)],
  ['as many numbers as allowed', 200, 'br', brotliCompressSync(`${MORE}[${listOf(MAX_VALUES - 3, '1e-30').join()}]}`)],
  ['text that is not ASCII', 200, 'deflate', deflateSync(filled(`${MORE}"`, '🐝', '"}'))],
  [
    'text that is not UTF-8 at its end',
    400,
    'gzip',
    gzipSync(Buffer.concat([Buffer.from(filled(HEAD, '\ufffd', ' ')), Buffer.from([0xff])])),
  ],
];

test.each(COMPRESSED)('a compressed body of %s gets %i in %s', async (_, status, coding, body) => {
  expect(body.length).toBeLessThanOrEqual(BODY_BYTES);
  const head = postOf('/execute', '', [`Content-Encoding: ${coding}`]).replace('Length: 0', `Length: ${body.length}`);
  const request = Buffer.concat([Buffer.from(head), body]);
  expect(answerIn(await server.send(request)).status).toBe(status);
  expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
});

/** The answer to 256 wrong messages names every one of them. */
const MAX_ANSWER_CHARS = 120_000;

const WRONG_CALLS = {
  role: 1,
  content: 1,
  tool_calls: listOf(100, { id: 1, type: 1, function: 1 }),
  tool_call_id: 1,
  reasoning: 1,
  reasoning_content: 1,
};

/** Well-formed bodies that break the rules of the fields at the highest cost. */
const WRONG: readonly (readonly [name: string, body: object])[] = [
  ['256 wrong messages', { messages: listOf(256, { role: 'r'.repeat(800), content: 1 }) }],
  ['256 messages with calls that are wrong', { messages: listOf(256, WRONG_CALLS) }],
  ['4 000 wrong calls', { messages: [{ role: 'assistant', tool_calls: listOf(4000, { function: {} }) }] }],
  ['128 wrong tools', { tools: listOf(128, { type: 'function', function: { name: '' } }) }],
  ['60 000 wrong tools', { tools: listOf(60_000, 1) }],
  ['1 024 wrong messages', { messages: listOf(1024, 1) }],
  ['60 000 wrong messages', { messages: listOf(60_000, 1) }],
  ['1 024 wrong stop strings', { stop: listOf(1024, 's'.repeat(400)) }],
  ['60 000 wrong stop strings', { stop: listOf(60_000, 1) }],
  ['a stop string of the whole body', { stop: ['s'.repeat(450_000)] }],
  ['a job id of the whole body', { job_id: `j${'\u200d'.repeat(150_000)}` }],
  ['a job id that looks like secrets', { job_id: 'Bearer '.repeat(60_000) }],
  ['a prompt with one character too many', { prompt: '🐝'.repeat(32_769) }],
  ['a prompt whose length is close to the limit', { prompt: 'a'.repeat(65_536) }],
  [
    'wrong values in every field',
    Object.fromEntries(
      ['job_id', 'prompt', 'messages', 'raw', 'max_tokens', 'min_tokens', 'temperature', 'top_p', 'min_p', 'top_k']
        .concat(['repetition_penalty', 'frequency_penalty', 'presence_penalty', 'seed', 'stop', 'logprobs'])
        .concat(['timeout_ms', 'on_disconnect', 'tools', 'tool_choice', 'parallel_tool_calls', 'enable_thinking'])
        .concat(['reasoning_effort', 'parts'])
        .map((name) => [name, { wrong: 'x'.repeat(20_000) }]),
    ),
  ],
];

describe.each([
  ['JSON', ''],
  ['events', 'Accept: text/event-stream'],
])('violations as %s', (_, accept) => {
  test.each(WRONG)('%s', async (_, wrong) => {
    const body = objectWith(wrong);
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(BODY_BYTES);
    const request = postOf('/execute', body, accept === '' ? [] : [accept]);
    const heard = await server.send(request);
    expect(answerIn(heard).status).toBe(400);
    expect(heard.length).toBeLessThan(MAX_ANSWER_CHARS);
    expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
  });
});

/** Names of fields that are expensive to make harmless, to search for secrets, and to cut. */
const NAMES: readonly (readonly [name: string, unit: string])[] = [
  ['joiners', '\u200d'],
  ['joined emoji', '\u{1f468}\u200d'],
  ['marks', '\u0301'],
  ['secrets', 'Bearer abc '],
  ['keys of secrets', 'token='],
  ['addresses', '://a:b@'],
  ['private keys', '-----BEGIN PRIVATE KEY-----'],
  ['signed tokens', 'eyJhbGci.'],
  ['tags', '\u{e0041}'],
  ['flags', '\u{1f1e6}'],
];

test.each(NAMES)('a narration that lists 1 000 unknown fields of %s', async (_, unit) => {
  const names = Array.from({ length: 1000 }, (_, index) => `${index}${unit.repeat(420 / Buffer.byteLength(unit))}`);
  const body = objectWith({ job_id: 'fields', ...Object.fromEntries(names.map((n) => [n, 1])) });
  expect(Buffer.byteLength(body)).toBeLessThanOrEqual(BODY_BYTES);
  const heard = await server.send(postOf('/execute', body));
  expect(answerIn(heard)).toMatchObject({ status: 200, body: expect.stringContaining('fields.ignored') });
  expect(await turnMs(() => server.send(postOf('/execute', body)))).toBeLessThan(CEILING_MS);
});

test('the pass itself takes a fraction of that', () => {
  for (const [name, , body] of [...REFUSED, ...TRIED])
    expect([name, callMs(() => structureExcess(body)) < CEILING_MS / 2]).toEqual([name, true]);
});

test.each([
  [`${MAX_LEVELS} levels`, '['.repeat(MAX_LEVELS), undefined],
  [`${MAX_LEVELS + 1} levels`, '['.repeat(MAX_LEVELS + 1), 'depth'],
  [`${MAX_KEYS} keys`, '"a":'.repeat(MAX_KEYS), undefined],
  [`${MAX_KEYS + 1} keys`, '"a":'.repeat(MAX_KEYS + 1), 'keys'],
  ['keys in a string', JSON.stringify('":[{,'.repeat(MAX_VALUES)), undefined],
  [
    `levels of keys that add up to ${MAX_KEY_LEVELS}`,
    `${'['.repeat(16)}${'"a":'.repeat(MAX_KEY_LEVELS / 16)}`,
    undefined,
  ],
  ['levels of keys that add up to more', `${'['.repeat(16)}${'"a":'.repeat(MAX_KEY_LEVELS / 16 + 1)}`, 'key_depth'],
  [`${MAX_VALUES} values`, ','.repeat(MAX_VALUES), undefined],
  [`${MAX_VALUES + 1} values`, ','.repeat(MAX_VALUES + 1), 'values'],
])('the limits of the structure: %s', (_, text, expected) => {
  expect(structureExcess(text)).toBe(expected);
});
