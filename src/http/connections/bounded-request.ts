/**
 * The class of incoming requests, which stops the parser within a chunk. Node parses a chunk to its end, with
 * two objects for each request, before anything else runs. Only an upgrade of the protocol stops it.
 */
import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** True if the parser must stop; undefined until the headers are complete. */
const STOPS = Symbol('stops');
/** The value that Node has set. */
const WISH = Symbol('wish');

/**
 * A class of requests for Node's option `IncomingMessage`.
 * @param refuses called once for each request, after its headers, with its socket; true closes the
 * connection, and the rest of the chunk is not parsed
 */
export function boundedRequests(refuses: (socket: Socket) => boolean): typeof IncomingMessage {
  return class BoundedRequest extends IncomingMessage {
    declare private [STOPS]?: boolean;
    declare private [WISH]: boolean | null;

    /** Node's parser reads this before it emits the request, and after each chunk; it stops if it is true. */
    get upgrade(): boolean | null {
      return this[STOPS] === true || this[WISH];
    }

    /** Node sets null in its constructor, and a truth value when the headers are complete. */
    set upgrade(value: boolean | null) {
      this[WISH] = value;
      if (value === null || this[STOPS] !== undefined) return;
      this[STOPS] = refuses(this.socket);
      if (this[STOPS]) this.socket.destroy();
    }
  };
}
