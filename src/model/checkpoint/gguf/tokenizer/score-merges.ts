/**
 * Rebuilds the merges of a SentencePiece model from its scores: each pair of tokens whose texts together are
 * a token is a merge, and the score of that token ranks it. The order of equal ranks decides the ids of runs
 * of one character, so it is the order of the files of transformers. Pure.
 */
import type { Steps } from '../../../../protocol/start/slices.ts';
import { sorted } from '../../../../protocol/start/sorted.ts';
import { quoted } from '../../families/unsupported.ts';
import { KEYS, type Numbers, refuse } from './tokenizer-metadata.ts';

export type Merge = readonly [left: string, right: string];

export interface ScoredTokens {
  readonly idOf: ReadonlyMap<string, number>;
  /** By id; higher scores merge first. */
  readonly scores: Numbers;
}

/**
 * Most steps: a token of n characters is searched n − 1 times for two parts of up to n characters. The
 * largest known vocabulary takes 20 million.
 */
const MAX_STEPS = 2 ** 28;
/** Tokens between two turns of the event loop. */
const STEP_TOKENS = 256;
/** Entries of a list that are copied between two turns of the event loop. */
const STEP_ENTRIES = 4096;

/**
 * The merges, first ones first. Takes 0.1 s of a core for 32 000 tokens and 1.6 s for 256 000.
 * @param longestFirst order of merges with equal scores: true as transformers writes since 2025 (Gemma 3), by
 *   the length of the left part, longest first; false as before, by the ids of the merged token, of the left
 *   and of the right part
 */
export function* mergesOf({ idOf, scores }: ScoredTokens, longestFirst: boolean): Steps<Merge[]> {
  checkSteps(idOf.keys());
  const scoreOf = (id: number): number => scores[id] ?? 0;
  const tokens: (readonly [text: string, id: number])[] = [];
  for (const token of idOf) if (tokens.push(token) % STEP_ENTRIES === 0) yield;
  const ordered = yield* sorted(tokens, (a, b) => scoreOf(b[1]) - scoreOf(a[1]) || a[1] - b[1]);
  const merges: Merge[] = [];
  for (let from = 0, to = 0; from < ordered.length; from = to) {
    const score = scoreOf(ordered[from]?.[1] ?? 0);
    const equals: Merge[] = [];
    for (; to < ordered.length && scoreOf(ordered[to]?.[1] ?? 0) === score; to++) {
      addSplits(ordered[to]?.[0] ?? '', idOf, equals);
      if (to % STEP_TOKENS === 0) yield;
    }
    for (const merge of longestFirst ? yield* byLength(equals) : equals) merges.push(merge);
  }
  return merges;
}

function checkSteps(texts: Iterable<string>): void {
  let steps = 0;
  for (const text of texts) steps += text.length ** 2;
  if (steps <= MAX_STEPS) return;
  const sum = `the sum of the squared lengths in ${quoted(KEYS.tokens)} is ${steps}`;
  refuse(`has too many long tokens: ${sum}; allowed: at most ${MAX_STEPS}`);
}

/** Adds the pairs of tokens that make up a text, in the order of their ids. */
function addSplits(text: string, idOf: ReadonlyMap<string, number>, merges: Merge[]): void {
  const found: { readonly merge: Merge; readonly left: number }[] = [];
  for (let at = 1; at < text.length; at++) {
    const left = idOf.get(text.slice(0, at));
    if (left === undefined) continue;
    const rest = text.slice(at);
    if (idOf.has(rest)) found.push({ merge: [text.slice(0, at), rest], left });
  }
  // No two pairs have the same left part.
  if (found.length > 1) found.sort((a, b) => a.left - b.left);
  for (const { merge } of found) merges.push(merge);
}

/** Sorts merges by the characters of the left part, then of the right part, longest first. */
function* byLength(merges: readonly Merge[]): Steps<readonly Merge[]> {
  if (merges.length < 2) return merges;
  const measured: { readonly merge: Merge; readonly left: number; readonly right: number }[] = [];
  for (const merge of merges) {
    const length = measured.push({ merge, left: charactersOf(merge[0]), right: charactersOf(merge[1]) });
    if (length % STEP_ENTRIES === 0) yield;
  }
  const ordered = yield* sorted(measured, (a, b) => b.left - a.left || b.right - a.right);
  return ordered.map(({ merge }) => merge);
}

/** Number of code points. */
function charactersOf(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
