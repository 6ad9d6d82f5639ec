/** The exact form of the streams of a worker, which is stricter than server-sent events. */
import { messagesIn, type SseMessage } from '../../src/client/client.ts';

const written = ({ id, event, data }: SseMessage): string =>
  `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}data: ${data}\n\n`;

/** True if a stream is complete and has the form of a worker: id, event, one line of data; comments apart. */
export const hasExactForm = (stream: string): boolean =>
  messagesIn(stream).map(written).join('') === stream.replace(/^: .*\n\n/gm, '');

/**
 * The messages of a stream.
 * @throws Error if the stream is cut, or has a line of another form
 */
export function exactMessages(stream: string): SseMessage[] {
  if (!hasExactForm(stream)) throw new Error(`not the form of a worker's stream: ${stream.slice(-300)}`);
  return messagesIn(stream);
}
