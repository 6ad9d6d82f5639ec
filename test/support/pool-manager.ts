/** A real receiver of ready callbacks, whose answers a test decides call by call. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ReadyNotice } from '../../src/contract/callback.ts';

export interface Call {
  readonly method: string | undefined;
  /** Path and query. */
  readonly path: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: ReadyNotice;
}

/** A status, or a function that answers in its own way or not at all. */
export type Reaction = number | ((response: ServerResponse, call: Call) => void);

export class PoolManager {
  readonly calls: Call[] = [];
  /** Maximum number of requests that were open at the same time. */
  mostOpen = 0;
  readonly #reactions: readonly Reaction[];
  readonly #woken = new Set<() => void>();
  #server: Server | undefined;
  #port = 0;
  #open = 0;

  private constructor(reactions: readonly Reaction[]) {
    this.#reactions = reactions;
  }

  /** The n-th reaction answers the n-th call, the last one all later calls. */
  static async start(...reactions: Reaction[]): Promise<PoolManager> {
    const manager = new PoolManager(reactions);
    await manager.open();
    return manager;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/ready`;
  }

  /** Listens, after `close` on the same port as before. */
  async open(): Promise<void> {
    this.#server = createServer((request, response) => void this.#receive(request, response));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when there have been so many calls. */
  async called(times: number): Promise<void> {
    while (this.calls.length < times)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#woken.delete(wake);
          resolve();
        };
        this.#woken.add(wake);
      });
  }

  /** Breaks all connections. Later ones are refused. Resolves when the port is free. */
  async close(): Promise<void> {
    const server = this.#server;
    if (!server?.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.#open);
    response.once('close', () => {
      this.#open -= 1;
    });
    let text = '';
    try {
      for await (const part of request.setEncoding('utf8')) text += part;
    } catch {
      return; // The worker has ended the attempt.
    }
    const reaction = this.#reactions[Math.min(this.calls.length, this.#reactions.length - 1)] ?? 200;
    const { method, url: path, headers } = request;
    const call = { method, path, headers, body: JSON.parse(text) as ReadyNotice };
    this.calls.push(call);
    if (typeof reaction === 'number') response.writeHead(reaction).end();
    else reaction(response, call);
    for (const wake of [...this.#woken]) wake();
  }
}
