/** The places of connections: who loses one for a new connection, and in which order. */
import { describe, expect, test } from 'vitest';
import { type Place, Places, type Standing } from '../../../src/http/connections/places.ts';

/** Places with a clock that the test moves. */
function placesOf(limit: number) {
  const clock = { now: 0 };
  const places = new Places<string>(limit, () => clock.now);
  const add = (name: string, address: string, standing: Standing = 'untrusted'): Place<string> => {
    clock.now += 1;
    return places.add(name, address, standing);
  };
  const set = (place: Place<string>, standing: Standing): void => {
    clock.now += 1;
    places.set(place, standing);
  };
  /** Frees places until none can be freed; returns their holders in this order. */
  const drain = (): string[] => {
    const order: string[] = [];
    for (let place = places.victim(); place; place = places.victim()) {
      order.push(place.holder);
      places.remove(place);
    }
    return order;
  };
  return { places, clock, add, set, drain };
}

describe('the place that is freed', () => {
  test('is the one without an answer for the longest time', () => {
    const { add, set, drain } = placesOf(80);
    const [first] = [add('a', '10.0.0.1'), add('b', '10.0.0.2'), add('c', '10.0.0.3')];
    if (first) set(first, 'untrusted');
    expect(drain()).toEqual(['b', 'c', 'a']);
  });

  test('is an untrusted one before a trusted one, however long that is idle', () => {
    const { add, drain } = placesOf(80);
    add('trusted', '10.0.0.1', 'idle');
    add('stranger', '10.0.0.2');
    expect(drain()).toEqual(['stranger', 'trusted']);
  });

  test('is never a busy one', () => {
    const { places, add, set, drain } = placesOf(2);
    const stream = add('stream', '10.0.0.1', 'idle');
    set(stream, 'busy');
    add('stranger', '10.0.0.1');
    expect([places.isFull, drain(), places.victim(), places.size]).toEqual([true, ['stranger'], undefined, 1]);
    set(stream, 'idle');
    expect(drain()).toEqual(['stream']);
  });

  test('belongs to an address above its share, even if others are idle for longer', () => {
    const { add, drain } = placesOf(16);
    add('old', '10.0.0.1');
    for (const name of ['x1', 'x2', 'x3', 'x4']) add(name, '10.0.0.9');
    // The share is 2 of 16 places. An address within its share has no rank of its own.
    expect(drain()).toEqual(['x1', 'x2', 'old', 'x3', 'x4']);
  });

  test('belongs to the larger of two addresses above their share', () => {
    const { add, drain } = placesOf(16);
    for (const name of ['x1', 'x2', 'x3', 'x4', 'x5']) add(name, '10.0.0.8');
    for (const name of ['y1', 'y2', 'y3']) add(name, '10.0.0.9');
    expect(drain().slice(0, 3)).toEqual(['x1', 'x2', 'x3']);
  });

  test('is an untrusted one of a small address before an idle trusted one of a large address', () => {
    const { add, drain } = placesOf(16);
    for (let n = 0; n < 6; n += 1) add(`proxy${n}`, '10.0.0.9', 'idle');
    add('stranger', '10.0.0.1');
    expect(drain()[0]).toBe('stranger');
  });
});

test('one address can hold all places', () => {
  const { places, add } = placesOf(100);
  for (let n = 0; n < 100; n += 1) add(`${n}`, '10.0.0.9', 'idle');
  expect([places.size, places.isFull, places.victim()?.holder]).toEqual([100, true, '0']);
});

test('an untrusted place expires by the time since its last answer, a trusted one does not', () => {
  const { places, clock, add, set } = placesOf(10);
  const [early] = [add('early', 'a'), add('late', 'b'), add('trusted', 'c', 'idle')];
  clock.now = 1000;
  if (early) set(early, 'untrusted');
  clock.now = 1400;
  const late = places.untrustedFor(500);
  expect(late?.holder).toBe('late');
  if (late) places.remove(late);
  expect(places.untrustedFor(500)).toBeUndefined();
  clock.now = 1501;
  expect(places.untrustedFor(500)?.holder).toBe('early');
});

test('random histories agree with a plain model that looks at every place', () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  const { places, add, set } = placesOf(32);
  const open: Place<string>[] = [];
  const sizeOf = (address: string): number => open.filter(({ group }) => group.address === address).length;
  const expected = (): Place<string> | undefined => {
    for (const standing of ['untrusted', 'idle']) {
      const candidates = open.filter((place) => place.standing === standing);
      const largest = Math.max(...candidates.map(({ group }) => sizeOf(group.address)));
      const crowded = largest > 4 ? candidates.filter(({ group }) => sizeOf(group.address) === largest) : candidates;
      const best = crowded.sort((a, b) => a.since - b.since);
      // Of two equally large addresses, either may lose.
      if (best.length > 0) return largest > 4 ? (best.find((place) => place === places.victim()) ?? best[0]) : best[0];
    }
    return undefined;
  };
  for (let step = 0; step < 5000; step += 1) {
    const place = open[random(open.length)];
    const action = random(4);
    if (action < 2 && !places.isFull)
      open.push(add(`${step}`, `10.0.0.${random(6)}`, random(2) ? 'idle' : 'untrusted'));
    else if (action === 2 && place) set(place, (['untrusted', 'idle', 'busy'] as const)[random(3)] ?? 'busy');
    else if (place) {
      places.remove(place);
      open.splice(open.indexOf(place), 1);
    }
    expect(places.size).toBe(open.length);
    expect(places.victim()).toBe(expected());
  }
});

test('a victim takes the same time among 65 535 places as among a few', () => {
  const timesOf = (limit: number): number => {
    const { places, add } = placesOf(limit);
    for (let n = 0; n < limit; n += 1) add(`${n}`, `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
    const run = (): number => {
      const began = performance.now();
      for (let n = 0; n < 20_000; n += 1) {
        const victim = places.victim();
        if (victim) places.remove(victim);
        add('new', '10.9.9.9');
      }
      return performance.now() - began;
    };
    return Math.min(run(), run(), run());
  };
  const few = timesOf(100);
  // A search through all places would take some 600 times as long.
  expect(timesOf(65_535)).toBeLessThan(50 * few + 50);
});
