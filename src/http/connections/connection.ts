/**
 * One open connection: its socket, its place, and its pipeline.
 */
import type { IncomingHttpHeaders, RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { addressGroup, clientAddress } from './address.ts';
import { ARRIVAL_TIMEOUT, answerBrokenHttp, type BrokenHttp, endGently } from './broken-http.ts';
import { Pipeline, type WaitingCount } from './pipeline.ts';
import type { Place, Places, Standing } from './places.ts';

interface ConnectionParts {
  readonly places: Places<Connection>;
  readonly standing: Standing;
  readonly handle: RequestListener;
  /** Waiting requests of all connections. */
  readonly waiting: WaitingCount;
}

export class Connection {
  readonly socket: Socket;
  readonly places: Places<Connection>;
  readonly pipeline: Pipeline;
  readonly #place: Place<Connection>;
  #hasLeft = false;
  /** The idle time after which the connection ends, in milliseconds; undefined while the server is open. */
  #lingerMs: number | undefined;
  #linger: NodeJS.Timeout | undefined;

  /** Takes a place until the socket is closed. */
  constructor(socket: Socket, { places, standing, handle, waiting }: ConnectionParts) {
    this.socket = socket;
    this.places = places;
    this.#place = places.add(this, addressGroup(clientAddress(socket)), standing);
    this.pipeline = new Pipeline({ socket, handle, waiting, onAnswered: () => this.#rest() });
    socket.once('close', () => this.leave());
    // Node calls this method after an answer with `Connection: close`.
    socket.destroySoon = () => endGently(socket);
  }

  get standing(): Standing {
    return this.#place.standing;
  }

  /** Call with the first right token: the connection is no longer untrusted. */
  trust(): void {
    if (this.standing === 'untrusted') this.#set('idle');
  }

  /** Call when a complete request gets its handler: a trusted connection is busy until the answer ends. */
  keepPlace(): void {
    if (this.standing === 'idle') this.#set('busy');
  }

  /** Frees the place, once. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    clearTimeout(this.#linger);
    this.places.remove(this.#place);
    this.pipeline.drop();
  }

  /**
   * Ends the connection when it has been idle for `ms` milliseconds. A request that arrives before that is
   * answered, also one whose client has sent it just before the server closed.
   */
  endWhenIdle(ms: number): void {
    if (this.#hasLeft) return;
    this.#lingerMs = ms;
    clearTimeout(this.#linger);
    const { bytesRead } = this.socket;
    // A request that waits for the loop arrives before `setImmediate`: a busy loop is not an idle client.
    this.#linger = setTimeout(() => setImmediate(() => this.#endIfIdle(bytesRead, ms)), ms);
  }

  /** @param bytesRead bytes at the start of the idle time: later ones may be a part of a request */
  #endIfIdle(bytesRead: number, ms: number): void {
    // Otherwise the end of the answer ends the connection, or restarts the idle time.
    if (this.#hasLeft || !this.pipeline.isIdle) return;
    if (this.socket.bytesRead > bytesRead) this.endWhenIdle(ms);
    else endGently(this.socket);
  }

  /** Answers bytes that are no request, after the requests before them, and ends the connection. */
  fail(error: BrokenHttp, given?: IncomingHttpHeaders): void {
    this.pipeline.fail((headers) => answerBrokenHttp(error, this.socket, given ?? headers));
  }

  /** Ends a connection whose time is over. One that had an answer, and sent nothing since, gets no other. */
  expire(): void {
    this.leave();
    if (this.socket.bytesWritten > 0) this.socket.destroy();
    else answerBrokenHttp({ code: ARRIVAL_TIMEOUT }, this.socket);
  }

  /** Frees the place at once, and closes the connection. */
  close(): void {
    this.leave();
    this.socket.destroy();
  }

  #rest(): void {
    this.#set(this.standing === 'untrusted' ? 'untrusted' : 'idle');
    if (this.#lingerMs !== undefined) this.endWhenIdle(this.#lingerMs);
  }

  #set(standing: Standing): void {
    if (!this.#hasLeft) this.places.set(this.#place, standing);
  }
}
