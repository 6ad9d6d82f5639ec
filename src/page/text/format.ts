/** Numbers as a person reads them. Pure. */

/** "8.7 ms", "412 ms", "3.2 s", "2 min 5 s". */
export function duration(ms: number): string {
  if (ms < 0.05) return '0 ms';
  if (ms < 10) return `${trim(ms, 1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${trim(ms / 1000, 1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** "115 MB". */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${value < 10 && unit > 0 ? trim(value, 1) : Math.round(value)} ${units[unit]}`;
}

/** "1,640" or "9.4". */
export const amount = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en-US') : trim(value, 1);

/** "1 token", "25 tokens". */
export const counted = (count: number, noun: string): string =>
  `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;

const trim = (value: number, digits: number): string => String(Number(value.toFixed(digits)));
