/**
 * Numbers as the sentences of the catalogue say them: with their units, and in the singular where there is one.
 */

export const time = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);
/** An estimate: no more digits than it is worth. */
export const soon = (ms: number): string =>
  ms < 50 ? 'a moment' : ms < 59_950 ? `about ${(ms / 1000).toFixed(1)} s` : `about ${Math.round(ms / 60_000)} min`;
export const size = (bytes: number): string =>
  bytes < 1e6
    ? `${(bytes / 1e3).toFixed(1)} kB`
    : bytes < 1e9
      ? `${(bytes / 1e6).toFixed(1)} MB`
      : `${(bytes / 1e9).toFixed(1)} GB`;
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
