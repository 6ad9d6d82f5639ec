/** Formats of JSON Schema as automata over characters. Pure. */
import type { CharAutomaton } from '../../program.ts';
import { hostnameAutomaton, ipv6Automaton } from './addresses.ts';
import { automatonOfPattern } from './machine.ts';
import { uriAutomaton } from './uri.ts';

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
const ATOM = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+";
/** RFC 5321 without quoted names and addresses in brackets; the domain has at least two labels. */
const EMAIL = `${ATOM}(?:\\.${ATOM})*@(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?\\.)+[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?`;

/** The automata by the name of the format. Each accepts a part of the texts that ajv-formats accepts. */
const AUTOMATA: Readonly<Record<string, () => CharAutomaton>> = {
  date: () => automatonOfPattern(DATE),
  time: () => automatonOfPattern(TIME),
  'date-time': () => automatonOfPattern(`${DATE}[Tt]${TIME}`),
  duration: () => automatonOfPattern(duration()),
  email: () => automatonOfPattern(EMAIL),
  uuid: () => automatonOfPattern('[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}'),
  ipv4: () => automatonOfPattern(IPV4),
  ipv6: ipv6Automaton,
  hostname: hostnameAutomaton,
  uri: () => uriAutomaton(true),
};

/** The formats that `formatAutomaton` knows. */
export const FORMATS: readonly string[] = Object.keys(AUTOMATA);

const known = new Map<string, CharAutomaton>();
/** The key of the small automaton of `uri`, which is the name of no format. */
const SMALL_URI = 'small uri';

/**
 * The texts of a format of JSON Schema. The automaton of a format is built once, in a few milliseconds, which
 * no budget counts.
 *
 * @returns undefined if the format is unknown
 */
export function formatAutomaton(name: string): CharAutomaton | undefined {
  const make = Object.hasOwn(AUTOMATA, name) ? AUTOMATA[name] : undefined;
  if (!make) return undefined;
  const automaton = known.get(name) ?? make();
  known.set(name, automaton);
  return automaton;
}

/**
 * A part of the texts of a format, of fewer states if possible: `uri` without IPv6 addresses.
 * @returns undefined if the format is unknown
 */
export function smallFormatAutomaton(name: string): CharAutomaton | undefined {
  if (name !== 'uri') return formatAutomaton(name);
  const automaton = known.get(SMALL_URI) ?? uriAutomaton(false);
  known.set(SMALL_URI, automaton);
  return automaton;
}
