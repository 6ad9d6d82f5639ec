/**
 * One request to the receiver of spans: an HTTP POST with a time limit, without redirects and proxies.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

export interface Receiver {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'none' | 'gzip';
}

/** The answer of the receiver. */
export interface Answer {
  readonly status: number;
  /** The header `Retry-After`. */
  readonly retryAfter: string | undefined;
  /** At most 64 KiB. Empty if it is longer, or does not come to its end: the status is the answer. */
  readonly body: string;
}

const MAX_BODY_BYTES = 64 * 1024;
/** Answers with a status of 1xx before the answer. */
const MAX_INTERIM = 16;
const compress = promisify(gzip);

/** Sends bodies over one connection that stays open. */
export class Poster {
  readonly #receiver: Receiver;
  readonly #agent: HttpAgent;

  constructor(receiver: Receiver) {
    this.#receiver = receiver;
    const options = { keepAlive: true, maxSockets: 1 };
    this.#agent = receiver.url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** @throws Error if there is no answer in time, or `signal` is aborted */
  async post(text: string, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
    const { headers, compression } = this.#receiver;
    const isCompressed = compression === 'gzip';
    const body = isCompressed ? await compress(text) : Buffer.from(text);
    signal.throwIfAborted();
    return this.#send(body, timeoutMs, signal, {
      ...headers,
      'Content-Type': 'application/json',
      'Content-Length': String(body.length),
      ...(isCompressed && { 'Content-Encoding': 'gzip' }),
    });
  }

  /** Closes the open connection. */
  close(): void {
    this.#agent.destroy();
  }

  #send(body: Buffer, ms: number, signal: AbortSignal, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const { url } = this.#receiver;
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise<Answer>((resolve, reject) => {
      const request = send(url, { method: 'POST', agent: this.#agent, headers, signal });
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${ms} ms`)), ms);
      request.on('error', reject);
      request.on('close', () => {
        clearTimeout(timer);
        // A change of the protocol (101) ends the request without an error and without an answer.
        reject(new Error('the connection was closed without an answer'));
      });
      let interim = 0;
      request.on('information', () => {
        interim += 1;
        if (interim > MAX_INTERIM) request.destroy(new Error('interim answers without an end'));
      });
      request.on('response', (response) => {
        const { statusCode: status = 0, headers } = response;
        resolve(bodyOf(response).then((body) => ({ status, retryAfter: headers['retry-after'], body })));
      });
      request.end(body);
    });
  }
}

/** The text of a body; empty if it is too long, or breaks off. Never throws. */
async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) return '';
      chunks.push(chunk);
    }
  } catch {
    return '';
  }
  return Buffer.concat(chunks).toString();
}
