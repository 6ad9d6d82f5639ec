/** The time of a check on a card: each part ends at a deadline, and time that a part leaves goes to the next. Pure. */

/** Clock in milliseconds; replaced by tests. */
export type Clock = () => number;

/** The time of one part. */
export interface Deadline {
  /** Milliseconds until the part must end, at least 0. */
  readonly leftMs: () => number;
  /** True if work of so many milliseconds ends before the deadline. */
  readonly fits: (ms: number) => boolean;
}

/**
 * The deadlines of parts that run one after another. The deadline of a part is the sum of its share and the
 * shares before it: a part that ends early leaves its time to the next ones, and a part that takes too long
 * takes no time from the parts before it.
 * @param shares positive numbers in the order of the parts; their sum is the whole time
 */
export function deadlinesOf<Name extends string>(
  totalMs: number,
  shares: Readonly<Record<Name, number>>,
  clock: Clock = () => performance.now(),
): Readonly<Record<Name, Deadline>> {
  const began = clock();
  const entries = Object.entries<number>(shares);
  const sum = entries.reduce((total, [, share]) => total + share, 0);
  let until = 0;
  const deadlines = entries.map(([name, share]) => {
    until += share;
    const end = began + (totalMs * until) / sum;
    const leftMs = (): number => Math.max(0, end - clock());
    return [name, { leftMs, fits: (ms: number) => ms <= leftMs() }] as const;
  });
  return Object.fromEntries(deadlines) as Record<Name, Deadline>;
}

/**
 * The time of one device of several, of the time that is left: the last one gets all of it, so that a device
 * that takes too long takes time from the next ones, and one that ends early leaves it to them.
 * @param shares of all devices, in order
 */
export function turnMs(leftMs: number, shares: readonly number[], index: number): number {
  const rest = shares.slice(index).reduce((sum, share) => sum + share, 0);
  return Math.max(0, (leftMs * (shares[index] ?? 0)) / rest);
}

/** The time of one piece of work in a part: at most so many milliseconds, and not longer than the part. */
export function limited(part: Deadline, ms: number, clock: Clock = () => performance.now()): Deadline {
  const end = clock() + ms;
  const leftMs = (): number => Math.max(0, Math.min(end - clock(), part.leftMs()));
  return { leftMs, fits: (needed) => needed <= leftMs() };
}

/** `12 s`, as the tables state times. */
export const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;

/** The sentence for work that does not fit. */
export const skippedFor = (neededMs: number, leftMs: number): string =>
  `skipped: needs about ${seconds(neededMs)}, ${seconds(leftMs)} left`;

/** Work that does not fit into its part. */
export class Skipped extends Error {
  override readonly name = 'Skipped';
}

/** @throws Skipped if work of so many milliseconds does not fit */
export function requireTime(part: Deadline, neededMs: number): void {
  if (!part.fits(neededMs)) throw new Skipped(skippedFor(neededMs, part.leftMs()));
}

/**
 * Waits for work that this process cannot end.
 * @param what a sentence for the error
 * @throws Skipped at the deadline; the error of the work
 */
export async function within<T>(part: Deadline, work: Promise<T>, what: string): Promise<T> {
  const left = part.leftMs();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Skipped(`skipped: ${what} after ${seconds(left)}`)), left);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
