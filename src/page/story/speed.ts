/** Tokens per second over time, from the numbers of tokens. Pure. */
import type { Point } from './clock.ts';

/** Tokens per second at a time in milliseconds. */
export interface Speed {
  readonly at: number;
  readonly value: number;
}

const POINTS = 64;
/** The part of the time over which a value is averaged. */
const WINDOW = 1 / 12;

/** The speed between the first and the last token; empty for fewer than two times. */
export function speeds(curve: readonly Point[]): readonly Speed[] {
  const [from, to] = [curve[0]?.[0] ?? 0, curve.at(-1)?.[0] ?? 0];
  if (curve.length < 2 || to <= from) return [];
  const half = Math.max((to - from) * WINDOW, 0.5);
  return Array.from({ length: POINTS + 1 }, (_, index) => {
    const at = from + ((to - from) * index) / POINTS;
    const [start, end] = [Math.max(from, at - half), Math.min(to, at + half)];
    return { at, value: ((tokensAt(curve, end) - tokensAt(curve, start)) * 1000) / (end - start) };
  });
}

/** The number of tokens at a time, with straight lines between the points. */
function tokensAt(curve: readonly Point[], at: number): number {
  let [low, high] = [0, curve.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((curve[middle]?.[0] ?? 0) <= at) low = middle;
    else high = middle;
  }
  const [[fromAt, from], [toAt, to]] = [curve[low] ?? [0, 0], curve[high] ?? [0, 0]];
  if (toAt <= fromAt) return to;
  return from + (to - from) * Math.min(1, Math.max(0, (at - fromAt) / (toAt - fromAt)));
}
