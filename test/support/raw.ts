/** HTTP on a bare socket: bytes that no client sends, one part after the other. */
import { connect, type Socket } from 'node:net';
import type { TestWorker } from './worker.ts';

/** A connection to the worker. Later errors are part of the tests, which look at its end. */
export function open(worker: TestWorker): Promise<Socket> {
  const { hostname, port } = new URL(worker.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => resolve(socket));
    socket.on('error', reject);
  });
}

/** A connection and everything that it receives. */
export interface Heard {
  readonly socket: Socket;
  readonly heard: () => string;
  /** Resolves when the server has ended the connection, with the errors of the socket. */
  readonly ended: Promise<unknown[]>;
}

/** Collects the text and the errors of a connection. */
export function listenTo(socket: Socket): Heard {
  const errors: unknown[] = [];
  let text = '';
  const ended = new Promise<unknown[]>((resolve) => {
    socket
      .setEncoding('utf8')
      .on('data', (part: string) => {
        text += part;
      })
      .on('error', (error) => errors.push(error))
      .on('end', () => resolve(errors))
      .on('close', () => resolve(errors));
  });
  return { socket, heard: () => text, ended };
}

export interface Part {
  /** Sent when the text received so far matches. */
  readonly when: RegExp;
  readonly send: string;
}

/** Sends `parts` over one connection and returns the text received until the worker closes it. */
export async function raw(worker: TestWorker, parts: readonly Part[]): Promise<string> {
  const socket = await open(worker);
  let heard = '';
  let next = 0;
  const act = (): void => {
    for (let part = parts[next]; part?.when.test(heard); part = parts[next]) {
      next += 1;
      socket.write(part.send);
    }
  };
  socket.setEncoding('utf8').on('data', (text: string) => {
    heard += text;
    act();
  });
  act();
  await closed(socket);
  return heard;
}

/** Sends everything at once. */
export const rawOnce = (worker: TestWorker, send: string): Promise<string> => raw(worker, [{ when: /^/, send }]);

/** Resolves when a connection is closed, with the milliseconds until then. */
export async function closed(socket: Socket): Promise<number> {
  const began = performance.now();
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return performance.now() - began;
}

/** A whole request. */
export function requestOf(method: string, path: string, body = '', headers: readonly string[] = []): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...headers];
  if (body !== '') lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`);
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** Status of each answer in a received text. */
export const statusesOf = (heard: string): number[] =>
  [...heard.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
