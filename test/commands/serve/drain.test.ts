/** The close of the HTTP server at the end of a drain. */
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { closeServer } from '../../../src/commands/serve/drain.ts';

test('a keep-alive connection is closed when its stream ends, without a time-out', async () => {
  const app = Fastify({ forceCloseConnections: 'idle' });
  const stream = new Readable({ read: () => undefined });
  app.get('/', (_, reply) => reply.send(stream));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  const request = get({ host: '127.0.0.1', port, agent });
  stream.push('first');
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const ended = once(response.resume(), 'end');

  // Every connection that is still open when the time-out has passed is cut by closeAllConnections.
  let cut = -1;
  const closeAll = app.server.closeAllConnections.bind(app.server);
  app.server.closeAllConnections = () => {
    app.server.getConnections((_, count) => {
      cut = count;
    });
    closeAll();
  };
  const closed = closeServer(app);
  stream.push(null);
  await Promise.all([ended, closed]);
  await expect.poll(() => cut).toBe(0);
  agent.destroy();
});
