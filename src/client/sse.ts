/**
 * Reads server-sent events: bytes of a response in, messages or typed events out. Opens no connection.
 */
import { createParser } from 'eventsource-parser';
import type { StreamEvent } from '../contract/events.ts';

/** One message of a stream, with its data as text. */
export interface SseMessage {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string;
}

/**
 * One event of a worker's stream. `event` equals `data.type`. `id` is `<run>-<n>`: use it unchanged as
 * `Last-Event-ID` or `?after=`. `n` counts 0, 1, 2, … without a gap.
 */
export interface SseEvent<Data = StreamEvent> {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: Data;
}

/** A response of `fetch`, its body, or a response of `node:http`. */
export type SseSource =
  | { readonly body: ReadableStream<Uint8Array> | null }
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>;

/**
 * Returns a function that takes the bytes of a stream in any portions and calls `onMessage` for every message
 * they complete. Skips comments, and an unfinished message at the end of the stream.
 */
export function messageParser(onMessage: (message: SseMessage) => void): (bytes: Uint8Array) => void {
  const parser = createParser({ onEvent: ({ id, event, data }) => onMessage({ id, event, data }) });
  const decoder = new TextDecoder();
  return (bytes) => parser.feed(decoder.decode(bytes, { stream: true }));
}

/** The messages of a complete stream. */
export function messagesIn(text: string): SseMessage[] {
  const messages: SseMessage[] = [];
  createParser({ onEvent: ({ id, event, data }) => messages.push({ id, event, data }) }).feed(text);
  return messages;
}

/**
 * The messages of a stream as they arrive. Leaving the loop cancels the stream.
 * @throws Error if the response has no body, and the errors of the connection
 */
export async function* readMessages(source: SseSource): AsyncGenerator<SseMessage, void, void> {
  const arrived: SseMessage[] = [];
  const feed = messageParser((message) => arrived.push(message));
  for await (const bytes of bytesOf(source)) {
    feed(bytes);
    yield* arrived.splice(0);
  }
}

/**
 * The events of a worker's stream as they arrive. Data is parsed but not validated: the worker is trusted to
 * follow its contract.
 * @throws Error as `readMessages`; SyntaxError for data that is not JSON
 */
export async function* readEvents<Data = StreamEvent>(source: SseSource): AsyncGenerator<SseEvent<Data>, void, void> {
  for await (const { id, event, data } of readMessages(source)) yield { id, event, data: JSON.parse(data) as Data };
}

/**
 * The bytes of a source as they arrive. Leaving the loop cancels the source.
 * @param silenceMs a longer time without a byte counts as a broken connection; absent: no limit
 * @throws Error if the response has no body, after the silence, and the errors of the connection
 */
export async function* bytesOf(source: SseSource, silenceMs?: number): AsyncGenerator<Uint8Array, void, void> {
  const stream = 'body' in source ? source.body : source;
  if (!stream) throw new Error('The response has no body.');
  if (!isWebStream(stream)) {
    yield* stream;
    return;
  }
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), silenceMs);
      if (done) return;
      yield value;
    }
  } finally {
    // Also after an error: the connection may only be silent. A broken stream refuses the cancel.
    await reader.cancel().catch(() => undefined);
  }
}

/** The web streams of Safari are not iterable. */
const isWebStream = (stream: object): stream is ReadableStream<Uint8Array> => 'getReader' in stream;

/** @throws Error if the promise takes longer than `ms` */
async function within<T>(promise: Promise<T>, ms: number | undefined): Promise<T> {
  if (ms === undefined) return promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the stream was silent for ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
