/** Clients with small kernel buffers, which read late or never. */

import type { Socket } from 'node:net';
import { postNarrow } from '../../bench/narrow-socket.mjs';
import { messagesIn } from '../../src/client/client.ts';
import { longJob } from './listener.ts';
import type { TestWorker } from './worker.ts';

/** 480 tokens with the likeliest 20 of each: more than a client may leave unread. */
export const bulky = (id: string, more: object = {}): object => longJob(id, { logprobs: 20, ...more });
export const post = (to: TestWorker, id: string, more: object = {}): Socket =>
  postNarrow(Number(new URL(to.url).port), bulky(id, more), { 'X-Correlation-Id': `req-${id}` });

/** Reads an answer of a raw socket to its end and removes the chunk sizes. */
export async function read(socket: Socket): Promise<string> {
  let raw = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    raw += chunk;
    if (raw.endsWith('\r\n0\r\n\r\n')) break;
  }
  return raw.replace(/\r\n[0-9a-f]+\r\n/g, '');
}
export const events = (raw: string): Record<string, unknown>[] =>
  messagesIn(raw)
    .filter(({ data }) => data !== '[DONE]')
    .map(({ data }) => JSON.parse(data) as Record<string, unknown>);
export const of = (job: string) => (line: Readonly<Record<string, unknown>>) => line['job_id'] === job;
