/**
 * The HTTP server of a pool: it receives the ready callbacks of workers (`webhooks.ready` in openapi.yaml),
 * lists the workers (`GET /endpoints`), and takes requests to replace one (`POST /drain/<task>`). Each
 * request needs the callback token. A client that has the token is trusted as a worker.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';

const MAX_BODY_BYTES = 65_536;
const MAX_FIELD_CHARS = 256;
const TIMES = { requestTimeout: 10_000, headersTimeout: 10_000, connectionsCheckingInterval: 1000 };

/**
 * Starts the server. Returns its URL.
 *
 * @param options `{ listen, token, name }`
 * @param pool `{ onReady(worker), onRefused(message), list(), drain(index) }`; `drain` returns false if the
 *   task has no worker that is ready
 */
export async function receiveCallbacks({ listen, token, name }, pool) {
  const server = createServer(TIMES, async (request, response) => {
    const [status, answer] = await handle(request, { token, name }, pool).catch(({ message }) => {
      pool.onRefused(message);
      return [400, message];
    });
    // Closed, so that the rest of a body that nobody reads does not arrive.
    response.writeHead(status, { Connection: 'close' }).end(answer);
  });
  await once(server.listen(Number(listen.port), listen.hostname), 'listening');
  return `http://${listen.hostname}:${server.address().port}`;
}

/** Returns the status of the answer, and its text. */
async function handle(request, { token, name }, pool) {
  if (!isEqual(request.headers.authorization ?? '', `Bearer ${token}`)) return [401];
  const route = `${request.method} ${request.url}`;
  const drained = /^POST \/drain\/(\d+)$/.exec(route);
  if (drained) return [pool.drain(Number(drained[1])) ? 202 : 409];
  if (route === 'GET /endpoints') return [200, JSON.stringify(pool.list())];
  if (route !== 'POST /ready') return [404];
  const worker = await workerOf(await bodyOf(request), name);
  // 410 ends the attempts of a worker.
  if (!worker) return [410];
  pool.onReady(worker);
  return [204];
}

const digest = (text) => createHash('sha256').update(text).digest();
const isEqual = (given, expected) => timingSafeEqual(digest(given), digest(expected));

async function bodyOf(request) {
  const parts = [];
  let size = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    size += part.length;
    if (size > MAX_BODY_BYTES) throw new Error(`The body has more than ${MAX_BODY_BYTES} bytes.`);
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString());
}

/** The worker of a callback; undefined if it belongs to another pool. @throws Error if a field is wrong */
async function workerOf({ worker_id, instance_id, url, model }, name) {
  for (const [field, value] of Object.entries({ worker_id, instance_id, url, model })) {
    if (typeof value !== 'string' || value.length > MAX_FIELD_CHARS) throw new Error(`${field} is not a short text.`);
  }
  const [, prefix, id, index] = /^(.+)-(\d+_(\d+))-r\d+$/.exec(worker_id) ?? [];
  if (prefix !== name) return undefined;
  const { protocol, hostname, port, origin } = new URL(url);
  if (protocol !== 'http:' || port === '') throw new Error('url is not http://<host>:<port>.');
  const { address } = await lookup(hostname, { family: 4 });
  return { id, index: Number(index), worker_id, instance_id, url: origin, address, port, model };
}
