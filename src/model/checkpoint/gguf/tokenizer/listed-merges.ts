/** The merges that a GGUF file lists, checked against its tokens. Pure. */
import type { Steps } from '../../../../protocol/start/slices.ts';
import { quoted, shown } from '../../families/unsupported.ts';
import type { Merge } from './score-merges.ts';
import { KEYS, refuse, type TokenizerMetadata } from './tokenizer-metadata.ts';

/** Most merges; the longest known list has 580 604. */
const MAX_MERGES = 2 ** 22;
/** Merges between two turns of the event loop. */
const STEP_MERGES = 1024;

/** @throws UnsupportedTokenizer if a merge has no two parts, or names a token that is absent. */
export function* readMerges(fields: TokenizerMetadata, idOf: ReadonlyMap<string, number>): Steps<Merge[]> {
  const merges = fields.texts(KEYS.merges, MAX_MERGES);
  if (merges === undefined) return refuse(`has no ${quoted(KEYS.merges)}`);
  const read: Merge[] = [];
  for (const [rank, text] of merges.entries()) {
    read.push(mergeOf(text, rank, idOf));
    if (rank % STEP_MERGES === 0) yield;
  }
  return read;
}

function mergeOf(text: string, rank: number, idOf: ReadonlyMap<string, number>): Merge {
  // A part can begin with a space.
  const at = text.indexOf(' ', 1);
  const place = (): string => quoted(`${KEYS.merges}[${rank}]`);
  if (at < 0) return refuse(`has ${shown(text.slice(0, 100))} in ${place()}; allowed: two tokens with a space between`);
  const merge = [text.slice(0, at), text.slice(at + 1)] as const;
  for (const token of [...merge, merge[0] + merge[1]]) {
    if (!idOf.has(token))
      refuse(
        `has the unknown token ${shown(token.slice(0, 100))} in ${place()}; allowed: elements of ${quoted(KEYS.tokens)}`,
      );
  }
  return merge;
}
