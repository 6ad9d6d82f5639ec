/**
 * The actions of simulated clients, drawn from a seed: the same seed draws the same plans, and a printed plan
 * can be run again. Knows nothing of HTTP.
 */
import fc from 'fast-check';

/** A job with a known text. `bulky`: more than a client may leave unread. */
export interface KnownJob {
  readonly prompt: string;
  readonly seed: number;
  readonly temperature: number;
  readonly min_tokens: number;
  readonly max_tokens: number;
  readonly logprobs?: number;
}

const THEMES = ['the sea', 'an old pond', 'rain', 'the moon', 'a bee', 'snow 🐸'];
const LENGTHS = [1, 4, 12, 30, 70, 140];

/** Short and long jobs, greedy and sampled; the last ones are bulky. */
export const JOBS: readonly KnownJob[] = [
  ...LENGTHS.map((tokens, index) => ({
    prompt: `Write a haiku about ${THEMES[index]}`,
    seed: 100 + index,
    temperature: index % 3 === 0 ? 0 : 1,
    min_tokens: tokens,
    max_tokens: tokens,
  })),
  ...[0, 1].map((index) => ({
    prompt: `Tell of ${THEMES[index]}`,
    seed: 7 + index,
    temperature: 1,
    min_tokens: 480,
    max_tokens: 480,
    logprobs: 20,
  })),
];
export const FIRST_BULKY = LENGTHS.length;

/** One connection of a client to the stream of its job. */
export interface Visit {
  /** Leaves after this many events of this visit; absent = stays to the end. */
  readonly leaveAfter?: number;
  /** Reads nothing for `stallMs` after this many events of this visit. */
  readonly stallAfter?: number;
  readonly stallMs?: number;
  /** Milliseconds away before this visit; before the first, milliseconds after the start of the wave. */
  readonly awayMs: number;
}

export interface Plan {
  /** Index into JOBS. */
  readonly job: number;
  readonly onDisconnect: 'cancel' | 'continue';
  /** Over a socket with small kernel buffers: the worker notices a stall. */
  readonly narrow: boolean;
  readonly timeoutMs?: number;
  /** Cancels the job on another connection after this many events. */
  readonly cancelAfter?: number;
  readonly visits: readonly [Visit, ...Visit[]];
}

/** A fault of the engine while the worker serves clients, and its time. */
export interface Fault {
  readonly kind: 'kill' | 'freeze';
  readonly atMs: number;
  /** Duration of a freeze. */
  readonly forMs: number;
}

/** A wave of clients that begin within `spreadMs`. */
const plans = (spreadMs: number): fc.Arbitrary<Plan> => {
  const seldom = <T>(some: fc.Arbitrary<T>, oneIn: number) =>
    fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: some });
  const events = fc.integer({ min: 1, max: 60 });
  const visit = (awayMs: number) =>
    fc
      .record({
        leaveAfter: events,
        stall: seldom(fc.record({ stallAfter: events, stallMs: fc.integer({ min: 20, max: 4000 }) }), 3),
        awayMs: fc.integer({ min: 0, max: awayMs }),
      })
      .map(({ stall, ...rest }) => ({ ...rest, ...stall }));
  return fc
    .record({
      first: visit(spreadMs),
      more: fc.oneof(
        { weight: 5, arbitrary: fc.constant([]) },
        { weight: 4, arbitrary: fc.array(visit(300), { minLength: 1, maxLength: 3 }) },
      ),
      /** True if the last visit stays to the end. */
      stays: fc.integer({ min: 0, max: 9 }).map((draw) => draw < 7),
      onDisconnect: fc.constantFrom('cancel' as const, 'continue' as const),
      bulky: fc.integer({ min: 0, max: 9 }).map((draw) => draw < 2),
      job: fc.nat(),
      timeoutMs: seldom(fc.integer({ min: 1, max: 1500 }), 6),
      cancelAfter: seldom(events, 6),
    })
    .map(({ first, more, stays, bulky, job, timeoutMs, cancelAfter, onDisconnect }) => {
      const [head, ...rest] = stays ? lastStays([first, ...more]) : [first, ...more];
      return {
        job: bulky ? FIRST_BULKY + (job % (JOBS.length - FIRST_BULKY)) : job % FIRST_BULKY,
        narrow: bulky,
        onDisconnect,
        visits: [head ?? first, ...rest],
        ...(timeoutMs !== undefined && { timeoutMs }),
        ...(cancelAfter !== undefined && { cancelAfter }),
      };
    });
};

function lastStays(visits: readonly (Visit & { leaveAfter: number })[]): Visit[] {
  return visits.map(({ leaveAfter, ...visit }, index) =>
    index === visits.length - 1 ? visit : { ...visit, leaveAfter },
  );
}

/** The clients of one wave. */
export const drawPlans = (seed: number, clients: number, spreadMs: number): Plan[] =>
  fc.sample(plans(spreadMs), { seed, numRuns: clients });

/** The faults of the engine in one wave: `kills` kills, and as many freezes. */
export function drawFaults(seed: number, kills: number, spreadMs: number): Fault[] {
  const fault = (kind: Fault['kind']) =>
    fc.record({
      kind: fc.constant(kind),
      atMs: fc.integer({ min: Math.floor(spreadMs / 4), max: spreadMs }),
      forMs: fc.integer({ min: 50, max: 1500 }),
    });
  return [
    ...fc.sample(fault('kill'), { seed, numRuns: kills }),
    ...fc.sample(fault('freeze'), { seed: seed + 1, numRuns: kills }),
  ].toSorted((a, b) => a.atMs - b.atMs);
}
