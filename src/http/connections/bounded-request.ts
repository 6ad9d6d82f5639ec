/**
 * The class of incoming requests, which stops the parser within a chunk. Node parses a chunk to its end, with
 * two objects for each request, before anything else runs; its only way to stop is an upgrade of the protocol.
 */
import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

const UPGRADE = Symbol('upgrade');

/**
 * A class of requests for Node's option `IncomingMessage`.
 * @param refuses called with the socket of each request after its headers; true closes the connection, and
 * the rest of the chunk is not parsed. If a version of Node ignored that, only the parser would go on.
 */
export function boundedRequests(refuses: (socket: Socket) => boolean): typeof IncomingMessage {
  return class BoundedRequest extends IncomingMessage {
    private [UPGRADE]?: boolean | null;

    /** Node's parser reads this before it emits the request, and stops if it is true. */
    get upgrade(): boolean | null {
      if (!refuses(this.socket)) return this[UPGRADE] ?? null;
      this.socket.destroy();
      return true;
    }

    set upgrade(value: boolean | null) {
      this[UPGRADE] = value;
    }
  };
}
