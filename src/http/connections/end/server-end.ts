/**
 * The end of the server without a reset: new connections are refused, every request that was sent before is
 * answered, and then each connection ends (docs/decisions/0025-drain-budget.md).
 */
import type { RequestListener, Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Connection } from '../connection.ts';

/**
 * Idle time of a connection after the server has stopped to listen, until the connection ends: a request that
 * was sent meanwhile is still answered. Longer than the way of a request between two regions.
 */
export const LINGER_MS = 250;
/** A connection lingers for at most this share of `--shutdown-timeout`. */
export const MAX_LINGER_SHARE = 1 / 16;
/**
 * Maximum number of connections that are accepted while the server stops to listen: twice the queue of Node.
 */
export const MAX_LAST_CONNECTIONS = 1024;

export class ServerEnd {
  readonly #lingerMs: number;
  readonly #open = new Set<Connection>();
  /** Number of connections so far. */
  #accepted = 0;
  /** Requests that wait while the server stops to listen; undefined at any other time. */
  #held: (() => void)[] | undefined;
  #isEnding = false;

  /** @param shutdownTimeout the value of `--shutdown-timeout`, in seconds */
  constructor(shutdownTimeout: number) {
    this.#lingerMs = Math.min(LINGER_MS, shutdownTimeout * 1000 * MAX_LINGER_SHARE);
  }

  /** Call with every new connection. */
  opened(connection: Connection): void {
    this.#accepted += 1;
    this.#open.add(connection);
    connection.socket.once('close', () => this.#open.delete(connection));
    if (this.#isEnding) connection.endWhenIdle(this.#lingerMs);
  }

  /** `handle`, later for a request that arrives while the server stops to listen. */
  holding(handle: RequestListener): RequestListener {
    return (request, response) => {
      if (this.#held) this.#held.push(() => handle(request, response));
      else handle(request, response);
    };
  }

  /**
   * Closes the server for new connections. First accepts those that wait in the system, which would be reset.
   * Until then no request is handled: a client that has its answer would connect again.
   */
  async stopListening(server: Server): Promise<void> {
    const last = this.#accepted + MAX_LAST_CONNECTIONS;
    const held: (() => void)[] = [];
    this.#held = held;
    for (let before = -1; this.#accepted > before && this.#accepted < last; ) {
      before = this.#accepted;
      // libuv accepts one connection in a turn of the event loop. The second wait contains a whole turn.
      await nextTurn();
      await nextTurn();
    }
    NetServer.prototype.close.call(server);
    this.#held = undefined;
    for (const handle of held) handle();
  }

  /** Ends each connection when it has been idle for a moment. */
  endIdle(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    for (const connection of this.#open) connection.endWhenIdle(this.#lingerMs);
  }

  /** Destroys all connections. */
  destroyAll(): void {
    for (const { socket } of this.#open) socket.destroy();
  }
}
