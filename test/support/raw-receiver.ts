/** A receiver of spans on a bare socket: it answers each request with bytes that no HTTP server sends. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { identity } from './tls.ts';

/** Answers one request, whose bytes have all arrived. */
export type RawAnswer = (socket: Socket) => void;

/** The text of an answer with a body. */
export const answerText = (status: string, body = '', ...headers: readonly string[]): string =>
  [`HTTP/1.1 ${status}`, `Content-Length: ${Buffer.byteLength(body)}`, ...headers, '', body].join('\r\n');

/** Takes all spans. */
export const TAKE: RawAnswer = (socket) => socket.write(answerText('200 OK', '{}'));

/** Writes a text again and again, until the other side closes the connection. */
export const endless =
  (begin: string, text: string, receiver: { written: number }): RawAnswer =>
  (socket) => {
    const more = (): void => {
      while (!socket.destroyed) {
        receiver.written += text.length;
        if (!socket.write(text)) break;
      }
    };
    socket.write(begin);
    socket.on('drain', more);
    more();
  };

export class RawReceiver {
  readonly #server;
  readonly #sockets = new Set<Socket>();
  readonly #isTls: boolean;
  answer: RawAnswer = TAKE;
  /** Requests whose bytes have all arrived. */
  requests = 0;
  /** Characters that `endless` has written. */
  written = 0;

  private constructor(isTls: boolean) {
    this.#isTls = isTls;
    this.#server = isTls
      ? createTlsServer(identity(), (socket) => this.#serve(socket))
      : createServer((socket) => this.#serve(socket));
  }

  static async open({ isTls = false } = {}): Promise<RawReceiver> {
    const receiver = new RawReceiver(isTls);
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `${this.#isTls ? 'https' : 'http'}://127.0.0.1:${port}`;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
      const head = text.indexOf('\r\n\r\n') + 4;
      if (head < 4) return;
      const bytes = Number(/^content-length: (\d+)\r$/im.exec(text.slice(0, head))?.[1] ?? 0);
      if (text.length < head + bytes) return;
      text = text.slice(head + bytes);
      this.requests += 1;
      this.answer(socket);
    });
  }
}
