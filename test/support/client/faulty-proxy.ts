/** A TCP proxy in front of a worker that cuts and stalls connections where a test wants it. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** One request of the client, as the proxy saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly lastEventId: string | undefined;
}

/**
 * Faults of the answers, one for each connection that carries an answer; later ones are whole. The answer to
 * the preflight of a browser does not count.
 */
export interface Faults {
  /** Bytes of the answer to pass before the connection is cut. 0: before the head of the answer. */
  readonly cutAfter?: readonly number[];
  /** Bytes of the answer to pass before it stalls: the connection stays open, and no more bytes come. */
  readonly stallAfter?: readonly number[];
}

export class FaultyProxy {
  readonly requests: SeenRequest[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #cuts: number[];
  readonly #stalls: number[];

  private constructor(upstream: number, { cutAfter = [], stallAfter = [] }: Faults) {
    this.#cuts = [...cutAfter];
    this.#stalls = [...stallAfter];
    this.#server = createServer((client) => this.#join(client, connect(upstream, '127.0.0.1')));
  }

  /** @param worker address of the worker */
  static async start(worker: string, faults: Faults = {}): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(Number(new URL(worker).port), faults);
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The methods and paths of the requests. */
  get seen(): string[] {
    return this.requests.map(({ method, path }) => `${method} ${path.replace(/^\/jobs\/[^/]+/, '/jobs/…')}`);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #join(client: Socket, worker: Socket): void {
    for (const socket of [client, worker]) this.#sockets.add(socket.on('error', () => undefined));
    client.once('close', () => worker.destroy());
    worker.once('close', () => client.destroy());
    for (const socket of [client, worker]) socket.once('close', () => this.#sockets.delete(socket));
    let preflight = false;
    client.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      preflight = text.startsWith('OPTIONS ');
      this.#note(text);
      worker.write(bytes);
    });
    let passed = 0;
    let limits: { readonly cut: number | undefined; readonly stall: number | undefined } | undefined;
    worker.on('data', (bytes) => {
      if (preflight) return client.write(bytes);
      limits ??= { cut: this.#cuts.shift(), stall: this.#stalls.shift() };
      const { cut, stall } = limits;
      const left = Math.max(0, (cut ?? stall ?? Number.POSITIVE_INFINITY) - passed);
      passed += bytes.length;
      const part = bytes.subarray(0, left);
      if (cut !== undefined && bytes.length >= left) return client.write(part, () => client.destroy());
      return part.length > 0 && client.write(part);
    });
  }

  #note(text: string): void {
    for (const [head, method = '', path = ''] of text.matchAll(/^(GET|POST) (\S+) HTTP\/1\.1\r\n(?:.+\r\n)*/gm)) {
      const lastEventId = /^last-event-id: (.+)\r$/im.exec(head)?.[1];
      this.requests.push({ method, path, lastEventId });
    }
  }
}
