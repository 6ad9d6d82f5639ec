/**
 * A forward proxy: tunnels (CONNECT) and absolute-form requests. It alone knows the hosts of a test, so a
 * request that arrives has gone through it.
 */
import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { identity } from './tls.ts';

export interface ProxyBehaviour {
  /** `user:password` that each request must have. */
  readonly credentials?: string;
  /** Answers everything with this status. */
  readonly status?: number;
  /** Takes connections and answers nothing. */
  readonly silent?: boolean;
  /** Speaks TLS with its clients. */
  readonly tls?: boolean;
}

export class ForwardProxy {
  /** The request lines: `CONNECT hub.test:443`, `GET http://hub.test/path`. */
  readonly seen: string[] = [];
  /** The values of `Authorization` in requests for a tunnel. */
  readonly tunnelCredentials: (string | undefined)[] = [];
  /** The local addresses of the clients. */
  readonly clients: string[] = [];
  /** `host:port` → port of this machine. */
  readonly hosts = new Map<string, number>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #behaviour: ProxyBehaviour;

  private constructor(behaviour: ProxyBehaviour) {
    this.#behaviour = behaviour;
    const answer = (request: IncomingMessage, response: ServerResponse): void => this.#answer(request, response);
    this.#server = behaviour.tls ? createTlsServer(identity(), answer) : createServer(answer);
    this.#server.on('connect', (request: IncomingMessage, socket: Socket) => this.#tunnel(request, socket));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      this.clients.push(socket.remoteAddress ?? '');
    });
  }

  static async start(hosts: Readonly<Record<string, number>>, behaviour: ProxyBehaviour = {}): Promise<ForwardProxy> {
    const proxy = new ForwardProxy(behaviour);
    for (const [host, port] of Object.entries(hosts)) proxy.hosts.set(host, port);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Scheme, host and port. */
  get url(): string {
    return `${this.#behaviour.tls ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  /** The status of a refusal; undefined if the request is allowed; null for silence. */
  #refusal(request: IncomingMessage): number | null | undefined {
    this.seen.push(`${request.method} ${request.url}`);
    const { credentials, status, silent } = this.#behaviour;
    if (silent) return null;
    const given = request.headers['proxy-authorization'];
    if (credentials !== undefined && given !== `Basic ${btoa(credentials)}`) return 407;
    return status;
  }

  #tunnel(request: IncomingMessage, socket: Socket): void {
    socket.on('error', () => undefined);
    this.tunnelCredentials.push(request.headers.authorization);
    const refusal = this.#refusal(request);
    if (refusal === null) return;
    const port = this.hosts.get(request.url ?? '');
    if (refusal !== undefined || port === undefined) {
      socket.end(`HTTP/1.1 ${refusal ?? 502} Refused\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const inner = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      inner.pipe(socket).pipe(inner);
    });
    inner.on('error', () => socket.destroy());
    socket.on('close', () => inner.destroy());
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const refusal = this.#refusal(request);
    if (refusal === null) return;
    const url = new URL(request.url ?? '/', 'http://origin-form.invalid');
    const port = this.hosts.get(`${url.hostname}:${url.port || 80}`);
    if (refusal !== undefined || port === undefined) {
      response.writeHead(refusal ?? 502).end();
      return;
    }
    const { 'proxy-authorization': _, ...headers } = request.headers;
    const inner = forward({
      port,
      host: '127.0.0.1',
      path: url.pathname + url.search,
      method: request.method,
      headers,
    });
    inner.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    inner.on('error', () => response.destroy());
    request.pipe(inner);
  }
}
