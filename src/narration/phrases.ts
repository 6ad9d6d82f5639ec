/**
 * Facts as text: numbers with their units and in singular or plural, and sentences with their reason. For the
 * sentences of the catalogue and for the commands. Pure.
 */

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** `412 ms` below one second, `1.23 s` from there. */
export const formatMs = (ms: number): string =>
  Math.round(ms) < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;

/** `30 s`: whole seconds of a time limit in milliseconds. */
export const formatSeconds = (ms: number): string => `${Math.round(ms / 1000)} s`;

/**
 * An estimate with at most one decimal, because it is not more precise: `a moment`, `about 1.2 s`, `about 5
 * min`.
 */
export const formatEta = (ms: number): string =>
  ms < 50 ? 'a moment' : ms < 59_950 ? `about ${(ms / 1000).toFixed(1)} s` : `about ${Math.round(ms / 60_000)} min`;

/** Three significant digits and a decimal unit: `999 B`, `3.52 MB`, `187 MB`, `22.1 GB`. */
export function formatBytes(bytes: number): string {
  // Rounded first: 999 999 bytes are 1.00 MB, not 1000 kB.
  let value = bytes < 1000 ? Math.round(bytes) : Number(bytes.toPrecision(3));
  let power = 0;
  while (value >= 1000 && power < BYTE_UNITS.length - 1) {
    value /= 1000;
    power += 1;
  }
  return `${power === 0 || value >= 1000 ? Math.round(value) : value.toPrecision(3)} ${BYTE_UNITS[power]}`;
}

/** Tokens per second without their unit: `94`, and `3.2` below ten. */
export const formatRate = (rate: number): string => rate.toFixed(rate < 9.95 ? 1 : 0);

/** A whole number of `unit`s, without the unit: for a list of times that share one. */
export const roundTo = (unit: 'ms' | 's', ms: number): number => Math.round(unit === 'ms' ? ms : ms / 1000);

/** `1 token`, `2 tokens`. */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

/**
 * The reason for the end of a cache hit. The last two tokens of a prompt are always computed. If only these
 * two are left, it is unknown if the slot had the same tokens, and the phrase makes no claim.
 */
export function cacheHitEnd(hit: {
  cached_tokens: number;
  tokens_in: number;
  diverged_at?: number | undefined;
}): string {
  if (hit.diverged_at !== undefined) return `the prompt differs from position ${hit.diverged_at} on`;
  return hit.cached_tokens < hit.tokens_in - 2
    ? 'the prompt continues where the slot ended'
    : 'the last two are always computed';
}

/** The sentence about cached tokens that were copied from another row. */
export function copiedHit(hit: {
  cached_tokens: number;
  tokens_in: number;
  copied_from: string;
  saved_ms?: number | undefined;
}): string {
  const source = hit.copied_from === 'running' ? 'a running request' : 'an earlier request';
  const saved = hit.saved_ms === undefined ? '' : ` and saves ${formatMs(hit.saved_ms)}`;
  return `Engine copies ${hit.cached_tokens} of ${count(hit.tokens_in, 'prompt token')}${saved}: ${source} had them`;
}

/** Characters at the start of a reason by which it is found in a sentence that was cut. */
const FOUND_BY = 16;

/**
 * A narrated sentence with its whole reason, for outputs without a limit: a sentence ends with an ellipsis if
 * its reason is long, and the fact `reason` has all of it.
 */
export function withReason(human: string, reason: unknown): string {
  if (typeof reason !== 'string' || reason === '' || !human.endsWith('…') || human.includes(reason)) return human;
  const at = human.indexOf(reason.slice(0, FOUND_BY));
  const isCutReason = at >= 0 && reason.startsWith(human.slice(at, -1));
  return isCutReason ? human.slice(0, at) + reason : `${human} Reason: ${reason}`;
}

/** A number of threads with its reason (`threads_reason`): `2 threads (quota 1.5)`. */
export function formatThreads(threads: number, reason: string, quota = 0): string {
  const words: Readonly<Record<string, string>> = {
    setting: ' (--threads)',
    small_model: ' (small model)',
    cpu_quota: ` (quota ${Number(quota.toPrecision(3))})`,
    affinity: ' (affinity)',
  };
  return `${count(threads, 'thread')}${words[reason] ?? ''}`;
}
