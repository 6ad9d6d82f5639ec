/** The end of a server with real connections: no request that was sent before the end is reset. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { closeServer } from '../../../../src/commands/serve/drain.ts';
import { readConfig } from '../../../../src/config/config.ts';
import { CLOSE_MS } from '../../../../src/http/connections/broken-http.ts';
import { Refusals } from '../../../../src/http/connections/refusals.ts';
import { Connections } from '../../../../src/http/connections.ts';
import { idleMetrics } from '../../../support/fakes.ts';
import { type Heard, listenTo, requestOf, statusesOf } from '../../../support/raw.ts';

/** Time of the close: a ceiling, except where a test says so. */
const PATIENT_MS = 60_000;
const LIVE = requestOf('GET', '/live');

let app: FastifyInstance | undefined;
afterEach(async () => {
  app?.server.closeAllConnections();
  await app?.close();
  app = undefined;
});

interface Served {
  readonly app: FastifyInstance;
  /** Opens a connection, which the server may not have accepted yet. */
  readonly open: () => Promise<Heard>;
  /** The body of all answers of `/stream`. */
  readonly stream: PassThrough;
  /** Adds `Connection: close` to all answers from now on. */
  readonly drain: () => void;
}

/** A server with the connections of the worker, which answers /live, /stream and posts. */
async function serve(): Promise<Served> {
  const config = readConfig([], {});
  let isDraining = false;
  const refusals = new Refusals(idleMetrics(), config.maxConnections);
  const connections = new Connections(config, refusals, () => isDraining);
  const stream = new PassThrough();
  const served = Fastify({
    serverFactory: (handle) => connections.createServer(handle),
    forceCloseConnections: 'idle',
    return503OnClosing: false,
  });
  served.addHook('preClose', () => connections.end.stopListening(served.server));
  served.get('/live', (_, reply) => reply.send({ status: 'alive' }));
  served.get('/stream', (_, reply) => reply.send(stream));
  served.post('/execute', (_, reply) => reply.code(503).send({ error: 'DRAINING' }));
  await served.listen({ host: '127.0.0.1', port: 0 });
  const { port } = served.server.address() as { port: number };
  app = served;
  const drain = (): void => {
    isDraining = true;
  };
  return { app: served, open: () => openClient(port), stream, drain };
}

async function openClient(port: number): Promise<Heard> {
  const client = listenTo(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
  await once(client.socket, 'connect');
  return client;
}

/** A connection that the server keeps open after an answer. */
async function keptAlive({ open }: Served): Promise<Heard> {
  const client = await open();
  client.socket.write(LIVE);
  await once(client.socket, 'data');
  expect(client.heard()).toMatch(/\r\nConnection: keep-alive\r\n/);
  return client;
}

test('a request that is sent when the end begins is answered, and then the connection ends', async () => {
  const served = await serve();
  const clients = await Promise.all(Array.from({ length: 5 }, () => keptAlive(served)));
  served.drain();
  const closed = closeServer(served.app, PATIENT_MS);
  for (const { socket } of clients) socket.write(LIVE);
  for (const { socket, ended, heard } of clients) {
    expect(await ended).toEqual([]);
    expect(statusesOf(heard())).toEqual([200, 200]);
    expect(heard()).toMatch(/\r\nConnection: close\r\n/);
    socket.end();
  }
  await closed;
});

test('connections that the server has not accepted yet are accepted and answered', async () => {
  const served = await serve();
  const clients = await Promise.all(Array.from({ length: 50 }, () => served.open()));
  served.drain();
  const closed = closeServer(served.app, PATIENT_MS);
  for (const { socket } of clients) socket.write(LIVE);
  for (const { socket, ended, heard } of clients) {
    expect(await ended).toEqual([]);
    expect(statusesOf(heard())).toEqual([200]);
    socket.end();
  }
  await closed;
});

test('a request whose body arrives late is answered', async () => {
  const served = await serve();
  const { socket, ended, heard } = await keptAlive(served);
  const idle = await keptAlive(served);
  served.drain();
  const [head = '', body = ''] = requestOf('POST', '/execute', '{"prompt":"The sea"}').split(/(?<=\r\n\r\n)/);
  const closed = closeServer(served.app, PATIENT_MS);
  socket.write(head);
  // The idle time of both connections has passed.
  expect(await idle.ended).toEqual([]);
  idle.socket.end();
  socket.write(body);
  expect(await ended).toEqual([]);
  expect(statusesOf(heard())).toEqual([200, 503]);
  socket.end();
  await closed;
});

test('a request whose headers arrive in parts is answered', async () => {
  const served = await serve();
  const { socket, ended, heard } = await keptAlive(served);
  const idle = await keptAlive(served);
  served.drain();
  const closed = closeServer(served.app, PATIENT_MS);
  // Both connections are idle for the server. The first part arrives after the idle time has begun.
  while (served.app.server.listening) await nextTurn();
  for (let turn = 0; turn < 3; turn += 1) await nextTurn();
  socket.write(LIVE.slice(0, 20));
  expect(await idle.ended).toEqual([]);
  idle.socket.end();
  socket.write(LIVE.slice(20));
  expect(await ended).toEqual([]);
  expect(statusesOf(heard())).toEqual([200, 200]);
  socket.end();
  await closed;
});

test('an idle connection ends without a reset: what its client still sends is dropped', async () => {
  const served = await serve();
  const { socket, ended, heard } = await keptAlive(served);
  const began = performance.now();
  const closed = closeServer(served.app, PATIENT_MS);
  expect(await ended).toEqual([]);
  const errors: unknown[] = [];
  socket.on('error', (error) => errors.push(error));
  for (let n = 0; n < 20; n += 1) {
    socket.write(LIVE);
    // The server reads each request alone, and a reset would arrive before the next one is sent.
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
  }
  const open = await connectionsOf(served);
  // A server that parses the requests closes its socket at the first one. After its limit it may close it.
  expect(open === 1 || performance.now() - began > CLOSE_MS).toBe(true);
  socket.end();
  await closed;
  expect([errors, statusesOf(heard())]).toEqual([[], [200]]);
});

/** The number of open connections. */
const connectionsOf = ({ app: { server } }: Served): Promise<number> =>
  new Promise((resolve) => server.getConnections((_, count) => resolve(count)));

test('a stream that began before the drain keeps its connection to its end, and nothing is cut', async () => {
  const served = await serve();
  const { socket, ended, heard } = await served.open();
  socket.write(requestOf('GET', '/stream'));
  served.stream.write('first');
  while (!heard().includes('first')) await once(socket, 'data');
  // Every connection that is still open at the end of the time is destroyed.
  let cut = -1;
  const { server } = served.app;
  const closeAll = server.closeAllConnections.bind(server);
  server.closeAllConnections = () => {
    server.getConnections((_, count) => {
      cut = count;
    });
    closeAll();
  };
  served.drain();
  const closed = closeServer(served.app, PATIENT_MS);
  served.stream.end('last');
  expect(await ended).toEqual([]);
  expect(heard()).toContain('last');
  socket.end();
  await closed;
  await expect.poll(() => cut).toBe(0);
});

test('a connection whose client does not read the end of its stream is destroyed in time', async () => {
  const served = await serve();
  const { socket, heard } = await served.open();
  socket.write(requestOf('GET', '/stream'));
  served.stream.write('first');
  while (!heard().includes('first')) await once(socket, 'data');
  await closeServer(served.app, 300);
  expect(await connectionsOf(served)).toBe(0);
});
