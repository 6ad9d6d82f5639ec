/** The reader of server-sent events: any portions of bytes give the same messages. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { messagesIn, readEvents, readMessages, type SseMessage } from '../../src/client/client.ts';

const MESSAGES: readonly SseMessage[] = [
  { id: 'r-0', event: 'started', data: '{"type":"started"}' },
  { id: 'r-1', event: 'token', data: '{"type":"token","t":"zażółć 🐝 👩‍👩‍👧","i":0}' },
  { id: 'r-2', event: 'token', data: '{"type":"token","t":"海\\n","i":1}' },
  { id: undefined, event: undefined, data: '[DONE]' },
];
const TEXT = MESSAGES.map(
  ({ id, event, data }) =>
    `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}data: ${data}\n\n: keep-alive\n\n`,
).join('');

async function read(portions: readonly Uint8Array[]): Promise<SseMessage[]> {
  async function* source() {
    yield* portions;
  }
  const messages: SseMessage[] = [];
  for await (const message of readMessages(source())) messages.push(message);
  return messages;
}

/** The bytes of a text, cut at these places. */
function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places, bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

describe('messages', () => {
  test('arrive whole, wherever the bytes are cut: inside of characters too', async () => {
    for (const text of [TEXT, TEXT.replaceAll('\n', '\r\n')]) {
      const bytes = new TextEncoder().encode(text);
      const places = fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 40 });
      const property = fc.asyncProperty(places, async (cuts) => {
        expect(await read(cutAt(bytes, cuts))).toEqual(MESSAGES);
      });
      await fc.assert(property);
      expect(await read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(MESSAGES);
    }
    expect(messagesIn(TEXT)).toEqual(MESSAGES);
  });

  test('that are not complete at the end are skipped', async () => {
    const bytes = new TextEncoder().encode(`${TEXT}data: half`);
    expect(await read([bytes])).toEqual(MESSAGES);
  });

  test('with broken JSON are an error of readEvents', async () => {
    const broken = new Response('data: {"type":\n\n');
    const reading = (async () => {
      for await (const _ of readEvents(broken));
    })();
    await expect(reading).rejects.toBeInstanceOf(SyntaxError);
  });
});

describe('a response', () => {
  test('is cancelled by a loop that is left', async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode(TEXT)),
      cancel: () => {
        cancelled = true;
      },
    });
    for await (const { id } of readMessages(new Response(body))) if (id === 'r-1') break;
    expect(cancelled).toBe(true);
  });

  test('without a body is an error', async () => {
    await expect(readMessages(new Response(null)).next()).rejects.toThrow('The response has no body.');
  });
});
