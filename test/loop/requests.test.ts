/** No header, path or query holds the event loop, and the answers that never change are made once. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONTRACT_FILES } from '../../src/config/paths.ts';
import { metricsHandler } from '../../src/http/operator/metrics.ts';
import { eventually } from '../support/eventually.ts';
import { CEILING_MS, turnMs } from './longest-turn.ts';
import { answerIn, BODY_BYTES, getOf, type LoopServer, ORIGINS, postOf, startLoopServer } from './loop-server.ts';

let server: LoopServer;
beforeAll(async () => {
  server = await startLoopServer();
});
afterAll(() => server.app.close());

/** Bytes for one header, so that the whole head fits into 16 KiB. */
const LONG = 15_800;
const repeated = (unit: string, bytes = LONG): string => unit.repeat(bytes / Buffer.byteLength(unit));

const HEADERS: readonly (readonly [name: string, status: number, headers: readonly string[]])[] = [
  ['2 000 headers', 200, Array.from({ length: 1990 }, (_, index) => `a${index}:`)],
  ['one header 1 900 times', 200, Array(1900).fill('x-a: b')],
  ['cookies', 200, Array(1500).fill('Cookie: a')],
  ['a long correlation id', 200, [`X-Correlation-Id: ${repeated('a')}`]],
  ['a long trace', 200, [`traceparent: 00-${repeated('0')}`]],
  ['a long Origin', 403, [`Origin: https://${repeated('a.')}`]],
  ['an Origin of colons', 403, [`Origin: https://${repeated(':')}`]],
  ['an Origin of brackets', 403, [`Origin: https://${repeated('[')}`]],
  ['an Origin of digits', 403, [`Origin: https://[${repeated('1:')}`]],
  ['a long Sec-Fetch-Site', 403, [`Sec-Fetch-Site: ${repeated('none, ')}`]],
  ['an allowed Origin', 200, [`Origin: ${ORIGINS.at(-1)}`, `X-More: ${repeated('a', 15_000)}`]],
  ['a long Authorization', 200, [`Authorization: Bearer ${repeated('a')}`]],
  ['an Upgrade', 200, [`Upgrade: ${repeated('h2c, ')}`, 'Connection: Upgrade']],
];

test.each(HEADERS)('%s: %i', async (_, status, headers) => {
  const request = getOf('/health', headers);
  expect(answerIn(await server.send(request)).status).toBe(status);
  expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
});

test.each([
  ['a long Host', `GET /health HTTP/1.1\r\nHost: ${repeated('a')}\r\n`, 403],
  ['a Host of digits and dots', `GET /health HTTP/1.1\r\nHost: [${repeated('1:')}]\r\n`, 403],
  ['a long absolute target', `GET http://${repeated('a')}/health HTTP/1.1\r\nHost: localhost\r\n`, 403],
  ['a long method', `${repeated('A')} / HTTP/1.1\r\nHost: localhost\r\n`, 400],
])('%s', async (_, head, status) => {
  const request = `${head}Connection: close\r\n\r\n`;
  expect(answerIn(await server.send(request)).status).toBe(status);
  expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
});

const EVENTS = '/jobs/any/events';
const PATHS: readonly (readonly [name: string, status: number, path: string])[] = [
  ['a job id of 3 072 bytes', 404, `/jobs/${'%F0%9F%90%9D'.repeat(256)}/events`],
  ['a longer job id', 404, `/jobs/${repeated('%F0%9F%90%9D')}/events`],
  ['a broken escape', 400, `/jobs/${'%F0'.repeat(1024)}/events`],
  ['slashes', 404, repeated('/')],
  ['escaped slashes', 404, `/${repeated('%2F')}`],
  ['dots', 404, `/jobs${repeated('/..')}/events`],
  ['semicolons', 404, `/health${repeated(';a')}`],
  ['parameters without a value', 404, `${EVENTS}?${repeated('a&')}`],
  ['many parameters', 404, `${EVENTS}?${Array.from({ length: 2700 }, (_, index) => `${index}=`).join('&')}`],
  ['one parameter again and again', 400, `${EVENTS}?${repeated('after=1&')}`],
  ['a long value', 400, `${EVENTS}?after=${repeated('1')}`],
  ['escapes in a value', 400, `${EVENTS}?after=${repeated('%31')}`],
  ['pluses in a value', 400, `${EVENTS}?after=${repeated('+')}`],
];

test.each(PATHS)('a path of %s: %i', async (_, status, path) => {
  const { status: given, body } = answerIn(await server.send(getOf(path)));
  expect([given, body.length < 750]).toEqual([status, true]);
  expect(await turnMs(() => server.send(getOf(path)))).toBeLessThan(CEILING_MS);
});

test.each([
  ['1', 400],
  ['%31', 400],
  ['\u0080', 400],
])('a Last-Event-ID of many %s: %i', async (unit, status) => {
  const request = getOf(EVENTS, [`Last-Event-ID: ${repeated(unit)}`]);
  expect(answerIn(await server.send(request)).status).toBe(status);
  expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
});

const JOB = '{"job_id":"job","prompt":"x"}';
test.each([
  ['X-Deadline of digits', JOB, `X-Deadline: ${repeated('9')}`],
  ['X-Deadline like a time', JOB, `X-Deadline: 2026-01-31T${repeated('12:')}`],
  ['X-Deadline of brackets', JOB, `X-Deadline: 2026-01-31T12:00:00 ${repeated('(')}`],
  ['Accept that almost has the type', '{}', `Accept: ${repeated('text/event-strea ')}`],
  ['Accept that has the type often', '{}', `Accept: ${repeated('text/event-stream,')}`],
])('a refused job with an %s', async (_, body, header) => {
  const request = postOf('/execute', body, [header]);
  expect(answerIn(await server.send(request)).status).toBe(400);
  expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
});

test.each(['; a=b', ';', ' ', '; charset="', ','])('a Content-Type with many "%s"', async (unit) => {
  const type = `Content-Type: application/json${repeated(unit)}`;
  const request = postOf('/execute', '{}').replace('Content-Type: application/json', type);
  expect([400, 415]).toContain(answerIn(await server.send(request)).status);
  expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
});

test.each([
  ['a long job id', `{"job_id":"${'\\u200d'.repeat(70_000)}"}`],
  ['a wrong job id', `{"job_id":[${Array(60_000).fill(1).join()}]}`],
  ['a long unknown field', `{"job_id":"any","more":"${'a'.repeat(BODY_BYTES - 30)}"}`],
])('a cancel with %s', async (_, body) => {
  const { status, body: answer } = answerIn(await server.send(postOf('/cancel', body)));
  expect([[400, 404].includes(status), answer.length < 750]).toEqual([true, true]);
  expect(await turnMs(() => server.send(postOf('/cancel', body)))).toBeLessThan(CEILING_MS);
});

test.each(['/health', '/live', '/ready', '/metrics', '/openapi.yaml', '/openapi.json'])('GET %s', async (path) => {
  expect(answerIn(await server.send(getOf(path))).status).toBe(200);
  expect(await turnMs(() => server.send(getOf(path)))).toBeLessThan(CEILING_MS);
});

test('a preflight is compared with 32 origins', async () => {
  const preflight = getOf('/execute', [`Origin: ${ORIGINS.at(-1)}`, 'Access-Control-Request-Method: POST']);
  const request = preflight.replace('GET', 'OPTIONS');
  expect(answerIn(await server.send(request)).status).toBe(204);
  expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
});

describe.each([
  ['/openapi.yaml', CONTRACT_FILES.yaml],
  ['/openapi.json', CONTRACT_FILES.json],
])('%s', (url, file) => {
  const bytes = readFileSync(file);
  const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;

  test('is the bytes of the file, and HEAD has their number and their tag', async () => {
    const { rawPayload, headers } = await server.app.inject({ url });
    expect(rawPayload.equals(bytes)).toBe(true);
    expect(headers).toMatchObject({ etag, 'content-length': String(bytes.length) });
    const head = await server.app.inject({ method: 'HEAD', url });
    expect([head.statusCode, head.payload, head.headers['content-length'], head.headers.etag]).toEqual([
      200,
      '',
      String(bytes.length),
      etag,
    ]);
  });

  test.each([
    [etag, 304],
    [`W/${etag}`, 304],
    [`"other", ${etag}`, 304],
    ['*', 304],
    ['"other"', 200],
    ['', 200],
  ])('for a client that has %s: %i', async (known, status) => {
    const { statusCode, payload } = await server.app.inject({ url, headers: { 'If-None-Match': known } });
    expect([statusCode, payload === '']).toEqual([status, status === 304]);
  });
});

test('scrapes of the same moment share one text, and later ones do not', async () => {
  let rendered = 0;
  const render = async (): Promise<string> => {
    rendered += 1;
    return `scrape ${rendered}`;
  };
  const handle = metricsHandler({ contentType: 'text/plain', render });
  const sent: unknown[] = [];
  const reply = {
    type: () => reply,
    send: (text: unknown) => {
      sent.push(text);
      return reply;
    },
  } as unknown as FastifyReply;
  const request = {} as FastifyRequest;
  await Promise.all(Array.from({ length: 50 }, () => handle(request, reply)));
  expect([rendered, new Set(sent)]).toEqual([1, new Set(['scrape 1'])]);
  await eventually(async () => {
    await handle(request, reply);
    expect(rendered).toBe(2);
  });
});
