/**
 * `localhost` can have two addresses, and a server listens on one. Fastify opens further servers only if it
 * makes the first one itself, and these would have no limits.
 */
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { createServer, type Server } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** The addresses of `localhost`; none if the name cannot be resolved. */
async function localAddresses(): Promise<string[]> {
  const found = await lookup('localhost', { all: true }).catch(() => []);
  return found.map(({ address }) => address);
}

/**
 * Makes `app`, once it listens, accept connections on all other `addresses` too, at the same port. An address
 * that is not available is left out. Closing the app closes them.
 * @param highWaterMark bytes of a socket's buffer
 */
export function listenOnOthers(app: FastifyInstance, highWaterMark: number, addresses = localAddresses): void {
  const others: Server[] = [];
  app.addHook('onListen', async () => {
    const main = app.server;
    const bound = main.address();
    if (bound === null || typeof bound === 'string') return;
    for (const address of new Set(await addresses())) {
      if (address === bound.address) continue;
      const other = forward(main, highWaterMark).listen({ host: address, port: bound.port });
      // Rejects for an address that is not available.
      if (await once(other, 'listening').catch(() => undefined)) others.push(other);
    }
  });
  let closed: Promise<unknown> = Promise.resolve();
  app.addHook('preClose', async () => {
    closed = Promise.all(others.map((other) => new Promise((resolve) => other.close(resolve))));
  });
  // After the close of the main server: waits for the streams of the others, too.
  app.addHook('onClose', async () => {
    await closed;
  });
}

/** A server that passes its connections on, with the socket options of Node's HTTP servers. */
function forward(main: HttpServer, highWaterMark: number): Server {
  return createServer({ allowHalfOpen: true, noDelay: true, highWaterMark }, (socket) =>
    main.emit('connection', socket),
  );
}
