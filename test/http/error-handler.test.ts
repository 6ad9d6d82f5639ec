/** The headers of errors, by the error and the route. */
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { Readable } from 'node:stream';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { expect, test } from 'vitest';
import { WorkerError } from '../../src/contract/errors.ts';
import { Refusals } from '../../src/http/connections/refusals.ts';
import { errorHandler } from '../../src/http/error-handler.ts';
import { idleMetrics } from '../support/fakes.ts';

/** The headers of the answer to an error. */
function headersOf(error: WorkerError, requestIds: readonly string[]): Record<string, unknown> {
  const headers: Record<string, unknown> = {};
  const reply = { header: (name: string, value: unknown) => Object.assign(headers, { [name]: value }) };
  const handle = errorHandler((_error, _request, given) => given, new Refusals(idleMetrics(), 1), idleMetrics());
  const request = { routeOptions: { config: { requestIds } } } as unknown as FastifyRequest;
  handle(error, request, reply as unknown as FastifyReply);
  return headers;
}

const DIALECT = ['X-Request-Id'];

test.each([
  [new WorkerError('INVALID_REQUEST'), { 'x-should-retry': 'false' }],
  [new WorkerError('DRAINING'), { 'x-should-retry': 'false' }],
  [new WorkerError('ENGINE_STALLED', undefined, { retryAfterMs: 1500 }), { 'Retry-After': 2 }],
  [new WorkerError('ALL_SLOTS_BUSY'), {}],
  [new WorkerError('LOADING', undefined, { retryAfterMs: 1000 }), { 'Retry-After': 1 }],
  [
    new WorkerError('TIMEOUT', undefined, { retry: 'never', retryAfterMs: 1000 }),
    { 'Retry-After': 1, 'x-should-retry': 'false' },
  ],
])('%s on a route of a dialect has the headers %j', (error, headers) => {
  expect(headersOf(error, DIALECT)).toEqual(headers);
});

test('an error of another route does not have x-should-retry', () => {
  expect(headersOf(new WorkerError('DRAINING'), [])).toEqual({});
});

test('a client that leaves before the first byte of a stream is no fault of the worker', async () => {
  const formatted: WorkerError[] = [];
  const handle = errorHandler(
    (error, _request, reply) => {
      formatted.push(error);
      return reply.send('');
    },
    new Refusals(idleMetrics(), 1),
    idleMetrics(),
  );
  const app = fastify();
  const codes = new Promise<string>((resolve) => {
    app.setErrorHandler((error: { readonly code: string } & Error, request, reply) => {
      const answer = handle(error as WorkerError & typeof error, request, reply);
      resolve(error.code);
      return answer;
    });
  });
  app.post('/', (_request, reply) => {
    socket.destroy();
    return reply.send(new Readable({ read: () => undefined }));
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
  const head = 'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2';
  socket.write(`${head}\r\n\r\n{}`);
  expect(await codes).toBe('ERR_STREAM_PREMATURE_CLOSE');
  expect(formatted).toEqual([]);
  await app.close();
});
