/**
 * Places the events of a story on one time axis. While a request runs, that is the clock of the page: the
 * time of arrival. At the end the worker reports its own measurements, and everything moves to the clock of
 * the worker, which knows nothing of networks. Pure.
 */
import type { Phase, Sentence, Story } from './story.ts';

/** A phase on the axis, in milliseconds. */
export interface Stretch {
  readonly phase: Phase;
  readonly from: number;
  readonly to: number;
}

/** A number of tokens at a time in milliseconds. */
export type Point = readonly [at: number, tokens: number];

export interface Placed {
  /** The clock of the axis. */
  readonly clock: 'page' | 'worker';
  /** The end of the axis, in milliseconds. */
  readonly total: number;
  readonly stretches: readonly Stretch[];
  /** The time of every sentence, in their order. */
  readonly times: readonly number[];
  /** Tokens over time, rising. */
  readonly curve: readonly Point[];
}

/** A decode shorter than this is drawn from the reports of the worker: tokens arrive in clusters. */
const SHORT_DECODE_MS = 400;

/** @param now milliseconds after the request was sent, of a request that runs */
export function place(story: Story, now: number): Placed {
  const { end, spent } = story;
  if (end && spent && spent.duration > 0) return onWorkerClock(story, end.time_to_first_token_ms, spent);
  const total = Math.max(1, story.endedAt ?? now);
  const stretches = story.spans.map(({ phase, from }, index) => ({
    phase,
    from: Math.min(from, total),
    to: Math.min(story.spans[index + 1]?.from ?? total, total),
  }));
  return {
    clock: 'page',
    total,
    stretches,
    times: story.sentences.map(({ at }) => Math.min(at, total)),
    curve: story.arrivals,
  };
}

function onWorkerClock(story: Story, firstToken: number, spent: NonNullable<Story['spent']>): Placed {
  const total = Math.max(spent.duration, firstToken + spent.decode);
  const decoded = firstToken + spent.decode;
  const prepared = Math.max(0, firstToken - spent.queue - spent.prefill);
  const queued = Math.min(firstToken, prepared + spent.queue);
  const offset = (story.arrivals[0]?.[0] ?? firstToken) - firstToken;
  /** The time of an arrival on the clock of the worker, between two bounds. */
  const moved = (at: number, least: number, most: number): number => Math.min(most, Math.max(least, at - offset));
  const bounds: readonly Stretch[] = [
    { phase: 'preparing', from: 0, to: prepared },
    { phase: 'queued', from: prepared, to: queued },
    { phase: 'reading', from: queued, to: firstToken },
    { phase: 'writing', from: firstToken, to: decoded },
    { phase: 'finishing', from: decoded, to: total },
  ];
  const pauses = story.spans.flatMap(({ phase, from }, index): Stretch[] => {
    const to = story.spans[index + 1]?.from ?? from;
    const isBreak = phase === 'paused' || phase === 'interrupted';
    return isBreak ? [{ phase, from: moved(from, queued, decoded), to: moved(to, queued, decoded) }] : [];
  });
  const slotAt = story.sentences.findIndex(({ event }) => event === 'cache.reset');
  let last = 0;
  const times = story.sentences.map((sentence, index) => {
    // Sentences before the slot belong to the wait, whenever they arrived.
    const most = index < slotAt ? queued : total;
    last = Math.max(last, timeOf(sentence, { firstToken, decoded, queued, total, most, moved }));
    return last;
  });
  return {
    clock: 'worker',
    total,
    stretches: [...bounds.filter(({ from, to }) => to > from), ...pauses],
    times,
    curve: curveOf(story, firstToken, spent.decode, (at) => moved(at, firstToken, decoded)),
  };
}

interface Bounds {
  readonly firstToken: number;
  readonly decoded: number;
  readonly queued: number;
  readonly total: number;
  /** The latest time of the sentence. */
  readonly most: number;
  readonly moved: (at: number, least: number, most: number) => number;
}

/** The time of a sentence: from its facts if they tell it, otherwise from its arrival. */
function timeOf({ event, facts, at }: Sentence, { firstToken, decoded, queued, total, most, moved }: Bounds): number {
  const { decode_time_ms: decodeMs } = facts;
  if (event === 'tokens.progress' && typeof decodeMs === 'number') return Math.min(decoded, firstToken + decodeMs);
  if (event === 'time.explained') return total;
  if (event === 'inference.complete') return decoded;
  return event === 'cache.reset' || event === 'cache.hit' ? queued : moved(at, 0, most);
}

function curveOf(story: Story, firstToken: number, decodeMs: number, moved: (at: number) => number): readonly Point[] {
  const reported: Point[] = [[firstToken, 1]];
  for (const { event, facts } of story.sentences) {
    const { tokens_out: tokens, decode_time_ms: ms } = facts;
    const isReport = event === 'tokens.progress' || event === 'inference.complete';
    if (isReport && typeof tokens === 'number' && typeof ms === 'number') reported.push([firstToken + ms, tokens]);
  }
  if (decodeMs < SHORT_DECODE_MS && reported.length > 2) return reported;
  return story.arrivals.map(([at, tokens]) => [moved(at), tokens]);
}
