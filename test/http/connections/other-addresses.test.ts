/** A server on `localhost` accepts connections on all its addresses, with one set of limits. */
import { once } from 'node:events';
import { connect } from 'node:net';
import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { listenOnOthers } from '../../../src/http/connections/other-addresses.ts';

/** Linux has all of 127.0.0.0/8; other systems need an address of the other family. */
const OTHER = process.platform === 'linux' ? '127.0.0.2' : '::1';

test('the other addresses lead to the same server; the close waits for their streams', async () => {
  const app = Fastify({ forceCloseConnections: 'idle' });
  listenOnOthers(app, 1024, async () => ['127.0.0.1', OTHER, OTHER, '203.0.113.1']);
  const connections: string[] = [];
  app.server.on('connection', (socket) => connections.push(String(socket.localAddress)));
  app.get('/stream', (_, reply) => {
    reply.hijack();
    reply.raw.write('begin');
    setTimeout(() => reply.raw.end('end'), 100);
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  let socket = connect(Number(port), OTHER);
  // The other server may listen a moment later than the first.
  while ((await once(socket, 'connect').catch(() => undefined)) === undefined) socket = connect(Number(port), OTHER);
  let heard = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    heard += text;
  });
  socket.write('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(socket, 'data');
  const sweep = setInterval(() => app.server.closeIdleConnections(), 20);
  await app.close();
  clearInterval(sweep);
  if (!socket.closed) await once(socket, 'close');
  expect(heard).toContain('end');
  expect(connections).toEqual([OTHER]);
  const late = connect(Number(port), OTHER);
  expect(await once(late, 'error')).toMatchObject([{ code: 'ECONNREFUSED' }]);
});
