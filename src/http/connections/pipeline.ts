/**
 * The requests of one connection, one after the other. Node emits all pipelined requests of a chunk in one
 * turn of the event loop: 900 of them stopped the worker for a minute when one took 70 ms.
 */
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Maximum number of waiting requests of a connection; one more closes it. A chunk of 64 KiB holds 2 500
 * requests: 200 such chunks held one turn of the event loop for 4.4 s of CPU time, with this limit for 0.25
 * s.
 */
export const MAX_WAITING_REQUESTS = 100;
/** Maximum number of waiting requests of all connections together, a few KiB each. */
export const MAX_WAITING_REQUESTS_TOGETHER = 4096;

/** The number of waiting requests of all connections. */
export interface WaitingCount {
  requests: number;
}

/** A request and its answer. */
type Exchange = readonly [request: IncomingMessage, response: ServerResponse<IncomingMessage>];

interface PipelineParts {
  readonly socket: Socket;
  readonly handle: RequestListener;
  readonly waiting: WaitingCount;
  /** Called when an answer has ended, completely or not. */
  readonly onAnswered: () => void;
}

/**
 * Hands each request to the handler after the previous answer has ended, in a later turn of the event loop.
 * Requests behind an answer with `Connection: close` are dropped, as HTTP prescribes.
 */
export class Pipeline {
  readonly #parts: PipelineParts;
  readonly #waiting: Exchange[] = [];
  /** The exchange whose answer has not ended. */
  #current: Exchange | undefined;
  /** The request that arrived last. */
  #newest: IncomingMessage | undefined;
  /** The last answer of the connection, which follows those of the waiting requests. */
  #last: (() => void) | undefined;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  /**
   * True if no further request can wait, or if an answer has ended the connection: the parser must not go on
   * with the chunk.
   */
  get isFull(): boolean {
    const { socket, waiting } = this.#parts;
    if (!socket.writable || this.#last) return true;
    if (!this.#current) return false;
    return this.#waiting.length >= MAX_WAITING_REQUESTS || waiting.requests >= MAX_WAITING_REQUESTS_TOGETHER;
  }

  /** True if no request is being answered, waits or is broken. */
  get isIdle(): boolean {
    return this.#current === undefined && this.#waiting.length === 0 && this.#last === undefined;
  }

  /** Handles a request now, or lets it wait. `boundedRequests` asks `isFull` before. */
  receive(request: IncomingMessage, response: ServerResponse<IncomingMessage>): void {
    this.#newest = request;
    if (!this.#current) this.#answer(request, response);
    else {
      this.#parts.waiting.requests += 1;
      this.#waiting.push([request, response]);
    }
  }

  /**
   * Call for bytes that are no request: nothing more is read. `answer` follows the answers of the requests
   * before; a request whose body is broken gets it as its own. The connection is destroyed if the client
   * would take `answer` for a part of another one.
   * @param answer gets the headers of the request with the broken body, and writes to the socket
   */
  fail(answer: (headers: IncomingHttpHeaders) => void): void {
    if (this.#last) return;
    const broken = this.#newest?.complete === false ? this.#newest : undefined;
    const [request, response] = this.#current ?? [];
    if (response?.headersSent || (broken && !request)) {
      this.#parts.socket.destroy();
      return;
    }
    const answerBroken = (): void => answer(broken?.headers ?? {});
    if (broken && broken !== request) {
      // The newest request is the last one that waits.
      this.#waiting.pop();
      this.#parts.waiting.requests -= 1;
    }
    if (!request || broken === request) answerBroken();
    else this.#last = answerBroken;
  }

  /** Drops the waiting requests. */
  drop(): void {
    this.#parts.waiting.requests -= this.#waiting.length;
    this.#waiting.length = 0;
    this.#last = undefined;
  }

  #answer(request: IncomingMessage, response: ServerResponse<IncomingMessage>): void {
    this.#current = [request, response];
    response.once('close', () => this.#next());
    this.#parts.handle(request, response);
  }

  #next(): void {
    this.#parts.onAnswered();
    if (this.#waiting.length > 0) setImmediate(() => this.#answerWaiting());
    else {
      this.#current = undefined;
      this.#last?.();
    }
  }

  #answerWaiting(): void {
    const { socket, waiting } = this.#parts;
    if (!socket.writable) this.drop();
    const next = this.#waiting.shift();
    if (!next) return;
    waiting.requests -= 1;
    this.#answer(...next);
  }
}
