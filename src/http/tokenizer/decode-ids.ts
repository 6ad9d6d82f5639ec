/** Converts many ids to text in turns of the event loop. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Decoder, Detokenizer } from '../../text/output/detokenizer.ts';

/** Ids that one turn decodes. */
export const IDS_PER_TURN = 256;

/**
 * The text of all ids, equal to that of one call of the decoder.
 * @throws the reason of the signal
 */
export async function decodeIds(ids: readonly number[], decoder: Decoder, signal: AbortSignal): Promise<string> {
  const detokenizer = new Detokenizer(decoder);
  const pieces: string[] = [];
  for (let at = 0; at < ids.length; at += IDS_PER_TURN) {
    if (at > 0) await nextTurn();
    signal.throwIfAborted();
    pieces.push(detokenizer.pushAll(ids.slice(at, at + IDS_PER_TURN)));
  }
  pieces.push(detokenizer.flush());
  return pieces.join('');
}
