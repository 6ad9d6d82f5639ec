/** A port of 127.0.0.1 for a program that cannot choose a free one by itself. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** A port at which nobody listened a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await once(server.close(), 'close');
  return port;
}
