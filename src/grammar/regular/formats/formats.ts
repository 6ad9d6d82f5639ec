/** Formats of JSON Schema as automata over characters. Pure. */
import type { Budget } from '../../budget.ts';
import type { CharAutomaton } from '../../program.ts';
import { fixed } from '../number.ts';

/** Digits of a fraction of a second, and of each number of a duration. */
const DIGITS = '\\d{1,9}';

const MONTHS =
  '(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8])';
const LEAP_YEAR = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)';
/** Real days of the Gregorian calendar (RFC 3339, full-date). */
const DATE = `(?:\\d{4}-(?:${MONTHS})|${LEAP_YEAR}-02-29)`;
const HOUR_MINUTE = '(?:[01]\\d|2[0-3]):[0-5]\\d';
/** RFC 3339, full-time, without leap seconds: these need the offset to be checked. */
const TIME = `${HOUR_MINUTE}:[0-5]\\d(?:\\.${DIGITS})?(?:[Zz]|[+-]${HOUR_MINUTE})`;

/** RFC 3339, appendix A. */
function duration(): string {
  const second = `${DIGITS}S`;
  const minute = `${DIGITS}M(?:${second})?`;
  const hour = `${DIGITS}H(?:${minute})?`;
  const time = `T(?:${hour}|${minute}|${second})`;
  const day = `${DIGITS}D`;
  const month = `${DIGITS}M(?:${day})?`;
  const year = `${DIGITS}Y(?:${month})?`;
  return `P(?:(?:${day}|${month}|${year})(?:${time})?|${time}|${DIGITS}W)`;
}

const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = `${BYTE}(?:\\.${BYTE}){3}`;
const GROUP = '[0-9a-fA-F]{1,4}';

/** RFC 4291, section 2.2: eight groups, or fewer with one `::`; the last two can be an IPv4 address. */
function ipv6(): string {
  /** One to `most` groups after `::`. The address is written once: copies of it cost most of the time. */
  const after = (most: number): string => {
    const address = most === 1 ? '' : `|(?:${GROUP}:){0,${most - 2}}${IPV4}`;
    return `(?:(?:${GROUP}:){0,${most - 1}}${GROUP}${address})`;
  };
  /** The rest after this number of groups, and no `::` yet. */
  const rest = (count: number): string => {
    if (count === 8) return '';
    const short = `::${count === 7 ? '' : `(?:${after(7 - count)})?`}`;
    return `(?:${short}|:${GROUP}${rest(count + 1)}${count === 6 ? `|:${IPV4}` : ''})`;
  };
  return `(?:::(?:${after(7)})?|${GROUP}${rest(1)})`;
}

/**
 * A label without `--` at its third and fourth place, as labels of encoded names have: they follow rules of
 * their own (RFC 5891, section 4.2.3.1), which need tables of Unicode.
 */
function label(most: number): string {
  const [end, inside] = ['[a-zA-Z0-9]', '[a-zA-Z0-9-]'];
  const long = `${inside}(?:${end}${inside}|-${end})${inside}{0,${most - 5}}${end}`;
  return `${end}(?:${inside}{0,2}${end}|${long})?`;
}
/** RFC 1123: at most 63 characters in the first label, and 30 in up to 6 more, so at most 253 together. */
const HOSTNAME = `${label(63)}(?:\\.${label(30)}){0,6}`;

const ATOM = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+";
/** RFC 5321 without quoted names and addresses in brackets; the domain has at least two labels. */
const EMAIL = `${ATOM}(?:\\.${ATOM})*@(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?\\.)+[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?`;

/** RFC 3986 with a scheme, and with an authority, an absolute path or a path that is not empty. */
function uri(): string {
  const encoded = '%[0-9a-fA-F]{2}';
  const plain = "a-zA-Z0-9._~!$&'()*+,;=\\-";
  const segment = `(?:[${plain}:@]|${encoded})`;
  const path = `(?:/${segment}*)*`;
  const host = `(?:(?:[${plain}]|${encoded})*|\\[${ipv6()}\\])`;
  const authority = `(?:(?:[${plain}:]|${encoded})*@)?${host}(?::\\d{0,5})?`;
  const tail = `(?:[${plain}:@/?]|${encoded})*`;
  return `[a-zA-Z][a-zA-Z0-9+.-]*:(?://${authority}${path}|/?${segment}+${path})(?:\\?${tail})?(?:#${tail})?`;
}

/** Patterns by the name of the format. Each accepts a part of the texts that ajv-formats accepts. */
const PATTERNS: Readonly<Record<string, () => string>> = {
  date: () => DATE,
  time: () => TIME,
  'date-time': () => `${DATE}[Tt]${TIME}`,
  duration,
  email: () => EMAIL,
  uuid: () => '[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}',
  ipv4: () => IPV4,
  ipv6,
  hostname: () => HOSTNAME,
  uri,
};

/** The formats that `formatAutomaton` knows. */
export const FORMATS: readonly string[] = Object.keys(PATTERNS);

/**
 * The texts of a format of JSON Schema. The automaton of a format is built once, in a few milliseconds.
 *
 * @returns undefined if the format is unknown
 * @throws GrammarError `too_complex` if the time of the budget is over
 */
export function formatAutomaton(name: string, budget: Budget): CharAutomaton | undefined {
  const pattern = Object.hasOwn(PATTERNS, name) ? PATTERNS[name] : undefined;
  if (!pattern) return undefined;
  const automaton = fixed(pattern());
  budget.step();
  return automaton;
}
