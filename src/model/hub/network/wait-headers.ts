/**
 * The wait that a server asks for: `Retry-After` (RFC 9110, 10.2.3), and the `RateLimit` fields of the IETF
 * draft (draft-ietf-httpapi-ratelimit-headers) in their present and older forms. Pure, in linear time.
 */

/** Header fields by lower-case name, as node:http and undici give them. */
export type HeaderFields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Longer values are not read. A list of ten limits has about 300 characters. */
const MAX_VALUE = 2048;
/** A number of seconds above this one is a date in seconds since 1970. */
const FIRST_DATE = 1_000_000_000;

/** Milliseconds until the server takes requests again; undefined if its answer does not say so. */
export function waitOf(status: number, headers: HeaderFields, now = Date.now()): number | undefined {
  const wait = retryAfter(fieldOf(headers, 'retry-after'), now);
  // A server sends its limits with every answer; only 429 reports that one is used up.
  return wait ?? (status === 429 ? rateLimitReset(headers, now) : undefined);
}

/** Seconds or a date → milliseconds from now. */
function retryAfter(value: string, now: number): number | undefined {
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  // Date.parse takes "-1" and "1.5" for dates.
  const date = /^[a-z]{3}/i.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function rateLimitReset(headers: HeaderFields, now: number): number | undefined {
  const limits = fieldOf(headers, 'ratelimit').split(',').map(parseLimit);
  const usedUp = limits.filter(({ remaining }) => remaining === 0);
  const resets = (usedUp.length > 0 ? usedUp : limits).flatMap(({ reset }) => (reset === undefined ? [] : [reset]));
  if (resets.length > 0) return Math.max(...resets) * 1000;
  for (const name of ['ratelimit-reset', 'x-ratelimit-reset']) {
    // A date in milliseconds has more digits: it is not read.
    const [seconds] = /^\d{1,12}(?!\d)/.exec(fieldOf(headers, name)) ?? [];
    if (seconds === undefined) continue;
    const whole = Number(seconds);
    return whole < FIRST_DATE ? whole * 1000 : Math.max(0, whole * 1000 - now);
  }
  return undefined;
}

/**
 * One limit: `"api";r=0;t=45`. In the older form `limit=100, remaining=0, reset=45`, each part comes alone:
 * the reset then counts, because the remaining requests are in another part.
 */
function parseLimit(item: string): { remaining: number | undefined; reset: number | undefined } {
  const [, remaining] = /;\s{0,8}r\s{0,8}=\s{0,8}(\d{1,15})/i.exec(item) ?? [];
  const [, reset] = /(?:;\s{0,8}t|^\s{0,8}reset)\s{0,8}=\s{0,8}(\d{1,9})/i.exec(item) ?? [];
  return {
    remaining: remaining === undefined ? undefined : Number(remaining),
    reset: reset === undefined ? undefined : Number(reset),
  };
}

function fieldOf(headers: HeaderFields, name: string): string {
  const value = headers[name];
  const text = typeof value === 'string' ? value : (value?.join(',') ?? '');
  return text.length > MAX_VALUE ? '' : text.trim();
}
