/**
 * The places for connections: their number, and the connection that loses its place if a new one finds none.
 * Pure: knows neither sockets nor HTTP. Every operation takes constant time, because anybody can open
 * connections.
 */
import { Link, Order } from './order.ts';

/**
 * One address may hold an eighth of the places before it loses places first. At most eight addresses can
 * hold more, so a search among them has a bound.
 */
export const ADDRESS_SHARE = 1 / 8;

/**
 * `untrusted`: has not brought a right token. `idle`: trusted, and no request is being answered. `busy`:
 * trusted, and a complete request is being answered.
 */
export type Standing = 'untrusted' | 'idle' | 'busy';

/** The standings that lose places, first to last. A busy connection never loses its place. */
const LOSERS = ['untrusted', 'idle'] as const;
type Loser = (typeof LOSERS)[number];

/** The holders that can lose their place, longest without an answer first. */
type Rows<T> = Readonly<Record<Loser, Order<Place<T>>>>;

/** All places of one address. */
interface Group<T> extends Rows<T> {
  readonly address: string;
  size: number;
}

/** A place and its holder. */
export class Place<T> {
  readonly holder: T;
  readonly group: Group<T>;
  standing: Standing = 'busy';
  /** Time since which it has this standing, or of its last answer. */
  since = 0;
  /** Positions among all places, and among the places of its address. */
  readonly links: readonly [all: Link<Place<T>>, group: Link<Place<T>>] = [new Link(this), new Link(this)];

  constructor(holder: T, group: Group<T>) {
    this.holder = holder;
    this.group = group;
  }
}

export class Places<T> {
  readonly #limit: number;
  readonly #share: number;
  readonly #now: () => number;
  readonly #all: Rows<T> = { untrusted: new Order(), idle: new Order() };
  readonly #groups = new Map<string, Group<T>>();
  /** The groups with more places than their share: fewer than eight. */
  readonly #crowded = new Set<Group<T>>();
  #size = 0;

  /**
   * @param limit number of places
   * @param now clock in milliseconds
   */
  constructor(limit: number, now: () => number = () => performance.now()) {
    this.#limit = limit;
    this.#share = Math.ceil(limit * ADDRESS_SHARE);
    this.#now = now;
  }

  get size(): number {
    return this.#size;
  }

  get isFull(): boolean {
    return this.#size >= this.#limit;
  }

  /** Gives a place to `holder`, also beyond the limit: the caller looks at `isFull` first. */
  add(holder: T, address: string, standing: Standing): Place<T> {
    const group = this.#groups.get(address) ?? { address, size: 0, untrusted: new Order(), idle: new Order() };
    this.#groups.set(address, group);
    group.size += 1;
    if (group.size > this.#share) this.#crowded.add(group);
    this.#size += 1;
    const place = new Place(holder, group);
    this.set(place, standing);
    return place;
  }

  /** Sets the standing of a place and restarts its time: it now loses its place last among its equals. */
  set(place: Place<T>, standing: Standing): void {
    place.standing = standing;
    place.since = this.#now();
    const [inAll, inGroup] = place.links;
    if (standing === 'busy') {
      inAll.leave();
      inGroup.leave();
    } else {
      this.#all[standing].append(inAll);
      place.group[standing].append(inGroup);
    }
  }

  /** Frees a place. Called once for each place. */
  remove(place: Place<T>): void {
    const { group } = place;
    for (const link of place.links) link.leave();
    this.#size -= 1;
    group.size -= 1;
    if (group.size <= this.#share) this.#crowded.delete(group);
    if (group.size === 0) this.#groups.delete(group.address);
  }

  /**
   * The place to free for a new connection; undefined if all are busy. Untrusted ones go before idle ones.
   * Among equals, the largest address above its share goes first, and then the place without an answer for
   * the longest time.
   */
  victim(): Place<T> | undefined {
    for (const standing of LOSERS) {
      let rows: Rows<T> = this.#all;
      let size = 0;
      for (const group of this.#crowded) {
        if (group.size <= size || !group[standing].first) continue;
        rows = group;
        size = group.size;
      }
      const { first } = rows[standing];
      if (first) return first.value;
    }
    return undefined;
  }

  /** The untrusted place without an answer for the longest time, if that is `ms` milliseconds or more. */
  untrustedFor(ms: number): Place<T> | undefined {
    const place = this.#all.untrusted.first?.value;
    return place && this.#now() - place.since >= ms ? place : undefined;
  }
}
