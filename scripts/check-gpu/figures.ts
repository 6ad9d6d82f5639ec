/** Medians and rates of measured times. Pure. */
import type { Output } from './engine-process.ts';

/** The middle value; of an even number of values, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}

/**
 * Tokens per second while all rows decode: from the first token of the row that began last to the last token
 * of the row that ended first. NaN if no step was between them. Reports that this process has read late arrive
 * together: the time is never shorter than that of the steps on the engine's clock.
 */
export function decodeRate(outputs: readonly Output[]): number {
  const from = Math.max(...outputs.map(({ at }) => at[0] ?? Number.NaN));
  const until = Math.min(...outputs.map(({ at }) => at.at(-1) ?? Number.NaN));
  const fromBusy = Math.max(...outputs.map(({ busy }) => busy[0] ?? Number.NaN));
  const untilBusy = Math.min(...outputs.map(({ busy }) => busy.at(-1) ?? Number.NaN));
  const within = outputs.flatMap(({ busy }) => busy.filter((ms) => ms > fromBusy && ms <= untilBusy));
  const ms = Math.max(until - from, untilBusy - fromBusy);
  return within.length === 0 ? Number.NaN : (within.length * 1000) / ms;
}

/** A rate as text: three digits at least where it is small. */
export const rate = (value: number | undefined): string => {
  if (value === undefined || !Number.isFinite(value)) return '–';
  return value < 100 ? value.toFixed(1) : String(Math.round(value));
};

/** `1 row`, `4 rows`. */
export const rowsText = (count: number): string => `${count} row${count === 1 ? '' : 's'}`;

export const megabytes = (bytes: number | undefined): string =>
  bytes === undefined ? '–' : String(Math.round(bytes / 1e6));
