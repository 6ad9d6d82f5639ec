/** Addresses of the internet as automata: IPv6 and names of hosts. Pure. */
import type { CharAutomaton } from '../../program.ts';
import { automatonOf } from './machine.ts';

/** The part of an address that is being read. */
type Part =
  | 'start'
  /** After the first colon of an address that begins with `::`. */
  | 'colon'
  /** After the colon that ends a group. */
  | 'separator'
  /** After `::`. */
  | 'gap'
  | 'group'
  /** An IPv4 address after its first point. */
  | 'ipv4';

/** A number from 0 to 255 without leading zeros, by the digits that can follow. */
type Byte =
  | 'none'
  /** After `1`, or after `2`. */
  | 'one'
  | 'two'
  /** After `25`. */
  | 'fifty'
  /** One digit more. */
  | 'short'
  | 'full'
  /** No such number. */
  | 'wrong';

interface Address {
  readonly part: Part;
  /** Groups before this part; groups of an IPv4 address do not count. */
  readonly groups: number;
  /** `::` was read. */
  readonly gap: boolean;
  /** Digits of the group, or points of the IPv4 address. */
  readonly count: number;
  readonly byte: Byte;
}

type AddressSymbol = '0' | '1' | '2' | '34' | '5' | '6789' | 'letter' | ':' | '.';

const ADDRESS_SYMBOLS: readonly (readonly [AddressSymbol, ...string[]])[] = [
  ['0', '0'],
  ['1', '1'],
  ['2', '2'],
  ['34', '34'],
  ['5', '5'],
  ['6789', '69'],
  ['letter', 'AF', 'af'],
  [':', ':'],
  ['.', '.'],
];

/** The number after one more digit. */
function byteAfter(byte: Byte, symbol: AddressSymbol): Byte {
  if (symbol === 'letter') return 'wrong';
  switch (byte) {
    case 'none':
      return symbol === '0' ? 'full' : symbol === '1' ? 'one' : symbol === '2' ? 'two' : 'short';
    case 'one':
      return 'short';
    case 'two':
      return symbol === '5' ? 'fifty' : symbol === '6789' ? 'full' : 'short';
    case 'fifty':
      return symbol === '6789' ? 'wrong' : 'full';
    case 'short':
      return 'full';
    default:
      return 'wrong';
  }
}

function addressAfter(state: Address, symbol: AddressSymbol): Address | undefined {
  const { part, groups, gap, count, byte } = state;
  if (symbol === ':') {
    if (part === 'start') return { ...state, part: 'colon' };
    if (part === 'group') return groups < (gap ? 6 : 7) ? { ...BETWEEN, groups: groups + 1, gap } : undefined;
    return part === 'colon' || (part === 'separator' && !gap)
      ? { ...BETWEEN, part: 'gap', groups, gap: true }
      : undefined;
  }
  if (symbol === '.') {
    if (byte === 'wrong' || byte === 'none') return undefined;
    if (part === 'ipv4') return count < 3 ? { ...state, count: count + 1, byte: 'none' } : undefined;
    const isPossible = part === 'group' && (gap ? groups <= 5 : groups === 6);
    return isPossible ? { ...state, part: 'ipv4', count: 1, byte: 'none' } : undefined;
  }
  const next = byteAfter(byte, symbol);
  if (part === 'ipv4') return next === 'wrong' ? undefined : { ...state, byte: next };
  if (part === 'group') return count < 4 ? { ...state, count: count + 1, byte: next } : undefined;
  if (part === 'colon' || (gap && groups > 6)) return undefined;
  return { ...state, part: 'group', count: 1, byte: next };
}

const BETWEEN: Address = { part: 'separator', groups: 0, gap: false, count: 0, byte: 'none' };

/** RFC 4291, section 2.2: eight groups, or fewer with one `::`; the last two can be an IPv4 address. */
export const ipv6Automaton = (): CharAutomaton =>
  automatonOf({
    symbols: ADDRESS_SYMBOLS,
    start: { ...BETWEEN, part: 'start' } as Address,
    key: ({ part, groups, gap, count, byte }) => `${part} ${groups} ${gap} ${count} ${byte}`,
    next: addressAfter,
    accepts: ({ part, groups, gap, count, byte }) => {
      if (part === 'ipv4') return count === 3 && byte !== 'none';
      return part === 'gap' || (part === 'group' && (gap || groups === 7));
    },
  });

interface Host {
  /** Labels before this one. */
  readonly labels: number;
  /** Characters of this label. */
  readonly count: number;
  /** The last character is `-`. */
  readonly dash: boolean;
}

/** Characters of the first label and of later ones, and later labels: at most 253 characters together. */
const FIRST_LABEL = 63;
const LATER_LABEL = 30;
const LATER_LABELS = 6;

function hostAfter({ labels, count, dash }: Host, symbol: 'alphanumeric' | '-' | '.'): Host | undefined {
  if (symbol === '.')
    return dash || count === 0 || labels === LATER_LABELS ? undefined : { labels: labels + 1, count: 0, dash };
  if (count === (labels === 0 ? FIRST_LABEL : LATER_LABEL)) return undefined;
  const isDash = symbol === '-';
  return isDash && (count === 0 || (count === 3 && dash)) ? undefined : { labels, count: count + 1, dash: isDash };
}

/**
 * RFC 1123. A label has no `--` at its third and fourth place, as labels of encoded names have: they follow
 * rules of their own (RFC 5891, section 4.2.3.1), which need tables of Unicode.
 */
export const hostnameAutomaton = (): CharAutomaton =>
  automatonOf({
    symbols: [
      ['alphanumeric', '09', 'AZ', 'az'],
      ['-', '-'],
      ['.', '.'],
    ],
    start: { labels: 0, count: 0, dash: false } as Host,
    key: ({ labels, count, dash }) => `${labels} ${count} ${dash}`,
    next: hostAfter,
    accepts: ({ count, dash }) => count > 0 && !dash,
  });
