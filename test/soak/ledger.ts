/**
 * Counts checks of invariants, injected faults and outcomes of requests. A violation names the invariant, the
 * client and how to run it again.
 */
export const INVARIANTS = {
  answer:
    'an answer is a stream, or an error in its shape with a status that the request explains; never 5xx but 503 and 504',
  terminal: 'exactly one terminal event, and it is the last',
  ids: 'ids of events are 0, 1, 2 … over all visits of a reader',
  indices: '`i` of tokens is 0, 1, 2 …',
  text: 'the text is the one of a run alone, or its beginning where an error ends it',
  own: 'every event carries its own correlation id and job id only',
  explained: 'an error has a cause among what was done to this request',
  replay: 'a replay is what was live, byte for byte',
  whole: 'a stream closes whole; only a reader that stalled is cut off',
  told: 'every accepted request is told to be over exactly once',
  accounted: '`worker_requests_total` is the number of accepted requests',
  idle: 'no slot taken, nobody waiting, cache and event logs empty afterwards',
  files: 'no more open files than before',
  blameless: 'no line blames the worker itself, nothing on stderr, all of stdout is JSON',
  stops: 'SIGTERM ends in exit code 0 and `server.shutdown` as the last line',
  lives: 'the worker has not ended by itself',
} as const;
export type Invariant = keyof typeof INVARIANTS;

export class Ledger {
  readonly checks = new Map<Invariant, number>();
  readonly faults = new Map<string, number>();
  readonly ends = new Map<string, number>();
  readonly violations: string[] = [];
  requests = 0;

  /** Checks an invariant; `what` is called only if it does not hold. */
  expect(invariant: Invariant, holds: boolean, what: () => string): void {
    raise(this.checks, invariant);
    if (!holds) this.violations.push(`${INVARIANTS[invariant]}: ${what()}`);
  }

  /** A fault was injected. */
  injected(kind: string, times = 1): void {
    raise(this.faults, kind, times);
  }

  /** A request has ended: `end`, the code of its error, or the status and code of its refusal. */
  ended(how: string): void {
    this.requests += 1;
    raise(this.ends, how);
  }
}

export function raise<K>(counts: Map<K, number>, key: K, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
