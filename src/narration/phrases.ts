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
/** One unit for all parts of a time. */
export const whole = (ms: number, unit: 'ms' | 's'): number => Math.round(unit === 'ms' ? ms : ms / 1000);
/** The last two tokens of a prompt are computed whatever the slot holds: whether the two part among them is not said. */
export const parting = (f: { cached_tokens: number; tokens_in: number; diverged_at?: number | undefined }): string => {
  if (f.diverged_at !== undefined) return `the prompt differs from token ${f.diverged_at} on`;
  return f.cached_tokens < f.tokens_in - 2
    ? 'the prompt goes on where the slot ended'
    : 'the last two are always computed';
};
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
