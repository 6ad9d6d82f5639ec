/**
 * A receiver of OTLP/HTTP-JSON: keeps the bodies and the spans of all requests, and answers as the test wants.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** A span as it was received, with its attributes as a record. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly flags: number;
  readonly status: { readonly code: number };
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, unknown>> }[];
  readonly droppedEventsCount: number;
}

/** How the receiver answers a request: a status with headers and a body, or never. */
export type Reply =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | 'hang';

type KeyValue = { readonly key: string; readonly value: Readonly<Record<string, unknown>> };

function plain(value: Readonly<Record<string, unknown>>): unknown {
  const [kind, content] = Object.entries(value)[0] ?? [];
  if (kind === 'intValue') return Number(content);
  if (kind !== 'arrayValue') return content;
  return (content as { values: Readonly<Record<string, unknown>>[] }).values.map(plain);
}
const record = (list: readonly KeyValue[]): Record<string, unknown> =>
  Object.fromEntries(list.map(({ key, value }) => [key, plain(value)]));

type Raw = Omit<ReceivedSpan, 'attributes' | 'events'> & {
  readonly attributes: readonly KeyValue[];
  readonly events: readonly { readonly name: string; readonly attributes: readonly KeyValue[] }[];
};

interface Body {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string; readonly version: string };
      readonly schemaUrl: string;
      readonly spans: readonly Raw[];
    }[];
  }[];
}

export class SpanReceiver {
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #waiting = new Set<() => void>();
  /** Answers of the next requests; when it is empty, each request is taken. */
  readonly replies: Reply[] = [];
  /** The answer when `replies` is empty. */
  reply: Reply = { status: 200, body: '{}' };
  readonly requests: { readonly path: string; readonly headers: IncomingMessage['headers']; readonly at: number }[] =
    [];
  /** The bodies of all requests, as texts. */
  readonly texts: string[] = [];
  /** The spans of the requests that were taken. */
  readonly spans: ReceivedSpan[] = [];
  resource: Readonly<Record<string, unknown>> = {};
  scope: { readonly name: string; readonly version: string; readonly schemaUrl: string } | undefined;

  static async open(): Promise<SpanReceiver> {
    const receiver = new SpanReceiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The spans of a trace, when its SERVER span has arrived: it is the last one. */
  async trace(where: (server: ReceivedSpan) => boolean): Promise<ReceivedSpan[]> {
    const server = await this.until(() => this.spans.find((span) => span.kind === 2 && where(span)));
    return [server, ...this.spans.filter((span) => span.parentSpanId === server.spanId)];
  }

  /** The first value that `find` returns, now or after a later request. */
  async until<T>(find: () => T | undefined | false): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined && found !== false) return found;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString();
    this.requests.push({ path: request.url ?? '', headers: request.headers, at: performance.now() });
    this.texts.push(text);
    const reply = this.replies.shift() ?? this.reply;
    if (reply !== 'hang') {
      if (reply.status === 200) this.#take(JSON.parse(text) as Body);
      response.writeHead(reply.status, { 'Content-Type': 'application/json', ...reply.headers }).end(reply.body);
    }
    for (const wake of [...this.#waiting]) wake();
  }

  #take({ resourceSpans }: Body): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      this.resource = record(resource.attributes);
      for (const { scope, schemaUrl, spans } of scopeSpans) {
        this.scope = { ...scope, schemaUrl };
        for (const span of spans)
          this.spans.push({
            ...span,
            attributes: record(span.attributes),
            events: span.events.map((event) => ({ ...event, attributes: record(event.attributes) })),
          });
      }
    }
  }
}
