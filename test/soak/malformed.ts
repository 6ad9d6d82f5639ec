/**
 * Malformed requests from a seed: random bytes, random JSON, random headers, requests that stop half-way.
 * Each has its own socket, which is closed when the answer is complete or no answer can follow.
 */
import { connect } from 'node:net';
import fc from 'fast-check';
import { type DialectRequest, dialectRequests } from './dialects/draw.ts';

/** How long to wait for an answer to half a request: the worker still waits for the rest of it. */
const QUIET_MS = 250;
/** Longer than any answer. */
const STUCK_MS = 30_000;

/** One request as bytes. `half`: its sender stops before its end. */
export interface Malformed {
  readonly kind: 'bytes' | 'json' | 'headers' | 'half' | 'body' | 'dialect';
  readonly bytes: string;
  readonly half: boolean;
  /** The request of a dialect: its answer is read to the end of its connection, and judged by its dialect. */
  readonly dialect?: DialectRequest;
}

const latin = (max: number) => fc.uint8Array({ maxLength: max }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const visible = fc.string({ minLength: 1, maxLength: 12 }).map((text) => text.replace(/[^\w-]/g, '-') || 'x');
const paths = fc.oneof(
  fc.constantFrom(
    '/execute',
    '/cancel',
    '/execute',
    '/jobs/x/events',
    '/jobs/%ff/events',
    '/health',
    '/metrics',
    '/v1/models/%ff',
    '/v1/chat/completions',
    '/v1/messages',
    '//',
    '/..%2f',
  ),
  latin(20).map((text) => `/${text.replace(/[\s\r\n]/g, '')}`),
);
const headers = fc.array(
  fc.oneof(
    fc.tuple(visible, latin(30)),
    fc.tuple(
      fc.constantFrom(
        'X-Deadline',
        'X-Correlation-Id',
        'traceparent',
        'Last-Event-ID',
        'Accept',
        'Origin',
        'Authorization',
        'Expect',
      ),
      latin(30),
    ),
    fc.constantFrom<[string, string]>(
      ['Transfer-Encoding', 'chunked'],
      ['Content-Length', '5'],
      ['Content-Length', '-1'],
      ['Content-Length', '99999999999999999999'],
      ['Content-Type', 'text/plain'],
      ['Content-Type', 'application/json; charset=utf-7'],
      ['Content-Encoding', 'gzip'],
      ['Expect', '100-continue'],
      ['Upgrade', 'websocket'],
      ['Connection', 'upgrade, close'],
    ),
  ),
  { maxLength: 5 },
);

function request(method: string, path: string, fields: readonly (readonly [string, string])[], body: string): string {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    ...fields.map(([name, value]) => `${name}: ${value}`),
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

const sized = (path: string, body: string, more: readonly (readonly [string, string])[] = []): string => {
  const length = String(Buffer.byteLength(body, 'latin1'));
  return request('POST', path, [['Content-Type', 'application/json'], ['Content-Length', length], ...more], body);
};

/** Mostly invalid bodies: some valid names, values of any kind. */
const almost = fc.record(
  {
    job_id: fc.oneof(fc.constant('almost'), fc.jsonValue()),
    prompt: fc.jsonValue(),
    messages: fc.jsonValue(),
    max_tokens: fc.oneof(fc.integer({ max: 0 }), fc.jsonValue()),
    temperature: fc.jsonValue(),
    stop: fc.jsonValue(),
    seed: fc.constant(-1),
  },
  { requiredKeys: ['seed'] },
);
const utf8 = (value: unknown): string => Buffer.from(JSON.stringify(value) ?? '').toString('latin1');

/** Requests to the routes of the dialects, each on a connection that the worker closes. */
const ofDialects: fc.Arbitrary<Malformed> = dialectRequests.map((dialect) => {
  const body = Buffer.from(dialect.body).toString('latin1');
  const length: [string, string][] = dialect.method === 'POST' ? [['Content-Length', String(body.length)]] : [];
  const fields = [['Connection', 'close'] as const, ...length, ...dialect.headers];
  return { kind: 'dialect', bytes: request(dialect.method, dialect.path, fields, body), half: false, dialect };
});

const others: fc.Arbitrary<Malformed> = fc.oneof(
  latin(200).map((bytes) => ({ kind: 'bytes' as const, bytes: `${bytes}\r\n\r\n`, half: false })),
  fc
    .tuple(fc.constantFrom('/execute', '/cancel'), fc.jsonValue({ maxDepth: 5 }))
    .map(([path, body]) => ({ kind: 'json' as const, bytes: sized(path, utf8(body)), half: false })),
  almost.map((body) => ({ kind: 'json' as const, bytes: sized('/execute', utf8(body)), half: false })),
  latin(200).map((body) => ({ kind: 'body' as const, bytes: sized('/execute', body), half: false })),
  fc
    .tuple(fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'TRACE', 'BREW'), paths, headers)
    .map(([method, path, fields]) => ({
      kind: 'headers' as const,
      bytes: request(method, path, fields, ''),
      half: true,
    })),
  fc.tuple(headers, almost, fc.double({ min: 0, max: 0.99, noNaN: true })).map(([fields, body, share]) => {
    const whole = sized('/execute', utf8(body), fields);
    return { kind: 'half' as const, bytes: whole.slice(0, Math.floor(whole.length * share)), half: true };
  }),
);

/** A text that the thread of the tokenizer converts: the worker then has the files of that thread. */
export const LONG_TEXT: Malformed = {
  kind: 'json',
  bytes: sized('/tokenize', JSON.stringify({ prompt: 'the sea '.repeat(10_000) })),
  half: false,
};

/** Half of all requests are of the dialects. */
const malformed = fc.oneof(others, ofDialects);

export const drawMalformed = (seed: number, count: number): Malformed[] =>
  fc.sample(malformed, { seed, numRuns: count });

/** Sends one request. Returns the bytes that the worker sent until it closed or the answer was complete. */
export function send(url: string, { bytes, half, dialect }: Malformed): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes, 'latin1'));
    const settle = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(settle, half ? QUIET_MS : STUCK_MS);
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
      if (dialect === undefined && isWhole(answer)) settle();
    });
    socket.once('error', settle).once('close', settle);
  });
}

/** True if an answer has its head and the announced length of its body. */
function isWhole(answer: string): boolean {
  const [head = '', body] = answer.split(/\r\n\r\n([\s\S]*)/);
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  return body !== undefined && (length === undefined || body.length >= Number(length));
}

/** Statuses of the answers. */
export const statusesOf = (answer: string): number[] =>
  [...answer.matchAll(/(?:^|\}|\n)HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

/** True if every error has the error shape. */
export function isShaped(answer: string): boolean {
  const [head = '', body = ''] = answer.split(/\r\n\r\n([\s\S]*)/);
  const status = statusesOf(head)[0] ?? 0;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
  if (status < 400 || length === 0 || body === '') return true;
  try {
    const { error } = JSON.parse(Buffer.from(body.slice(0, length), 'latin1').toString()) as {
      error?: { code?: unknown; type?: unknown; message?: unknown };
    };
    // An error of Anthropic's dialect has a type, and no code.
    return typeof (error?.code ?? error?.type) === 'string' && typeof error?.message === 'string';
  } catch {
    return false;
  }
}
