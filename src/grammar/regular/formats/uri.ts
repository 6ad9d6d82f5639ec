/** Addresses of resources as an automaton. Pure. */
import type { CharAutomaton } from '../../program.ts';
import { finish } from '../minimize.ts';
import { ipv6Automaton } from './addresses.ts';
import { automatonOfPattern, UNTIMED } from './machine.ts';

/** Stands for an IPv6 address in the pattern, which reads this character nowhere else. */
const ADDRESS = 0;

/**
 * RFC 3986 with a scheme, and with an authority, an absolute path or a path that is not empty.
 * @param addresses the host can be an IPv6 address; this takes most of the states
 */
export function uriAutomaton(addresses: boolean): CharAutomaton {
  const encoded = '%[0-9a-fA-F]{2}';
  const plain = "a-zA-Z0-9._~!$&'()*+,;=\\-";
  const segment = `(?:[${plain}:@]|${encoded})`;
  const path = `(?:/${segment}*)*`;
  const host = `(?:(?:[${plain}]|${encoded})*${addresses ? '|\\[\\0\\]' : ''})`;
  const authority = `(?:(?:[${plain}:]|${encoded})*@)?${host}(?::\\d{0,5})?`;
  const tail = `(?:[${plain}:@/?]|${encoded})*`;
  const rest = `(?://${authority}${path}|/?${segment}+${path})(?:\\?${tail})?(?:#${tail})?`;
  const automaton = automatonOfPattern(`[a-zA-Z][a-zA-Z0-9+.-]*:${rest}`);
  return addresses ? withAddress(automaton, ipv6Automaton()) : automaton;
}

/**
 * Puts an address in the place of its character: a copy of its automaton costs much less than a copy of its
 * pattern. One state reads the character, and reads no other; the next one reads `]` only.
 */
function withAddress({ edges, accepts }: CharAutomaton, address: CharAutomaton): CharAutomaton {
  const before = edges.findIndex((row) => row[0] === ADDRESS);
  const afterAddress = edges[edges[before]?.[2] ?? 0] ?? [];
  // The copy begins with the state that read the character: no edge of the address leads back to its start.
  const numberOf = (state: number): number => (state === 0 ? before : edges.length + state - 1);
  const copies = address.edges.map((row, state) => {
    const copy = row.map((value, at) => (at % 3 === 2 ? numberOf(value) : value));
    return address.accepts[state] ? merged(copy, afterAddress) : copy;
  });
  const all = [...edges, ...copies.slice(1)];
  all[before] = copies[0] ?? [];
  const ends = [...accepts, ...copies.slice(1).map(() => false)];
  const automaton = finish({ edges: all, accepts: ends }, UNTIMED);
  if (!automaton) throw new Error('The pattern of uri accepts no text.');
  return automaton;
}

/** The edges of both rows, which share no character, in ascending order. */
function merged(a: readonly number[], b: readonly number[]): number[] {
  const edges: (readonly number[])[] = [];
  for (const row of [a, b]) for (let at = 0; at < row.length; at += 3) edges.push(row.slice(at, at + 3));
  return edges.sort(([x = 0], [y = 0]) => x - y).flat();
}
