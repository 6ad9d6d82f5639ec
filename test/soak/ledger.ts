/**
 * Counts checks of invariants, injected faults and outcomes of requests. A violation names the invariant, the
 * client and the seed that repeats the run.
 */
export const INVARIANTS = {
  answer:
    'an answer is a stream, or an error of the documented shape with a status that the request explains; of 5xx only 503 and 504',
  dialect:
    'an answer of a dialect has its form: of errors, of documents, and of streams with their end; never a text of the prompt in an error',
  terminal: 'a stream has exactly one terminal event, as its last',
  ids: 'event ids are 0, 1, 2 … over all visits of a subscriber',
  indices: '`i` of tokens is 0, 1, 2 …',
  text: 'the text equals that of a run alone, or is its beginning if an error ends the stream',
  figures: 'the counts and the stop reason of an interrupted output are those of a run alone',
  survives: 'an output reaches its end although its engine or its worker is lost, or its memory is taken',
  budget: 'the memory of the cache is never above its budget',
  own: 'every event carries the correlation id and job id of its own request only',
  explained: 'an error has a cause among the faults of this request',
  replay: 'a replay equals the live stream, byte for byte',
  whole: 'a stream closes complete; only a stalled subscriber is cut off',
  logged: 'the log reports the end of every accepted request exactly once',
  accounted: '`worker_requests_total` is the number of accepted requests',
  idle: 'afterwards no slot is busy, no request waits, cache and event logs are empty',
  files: 'there are no more open files than before',
  blameless: 'no log line reports a fault of the worker, stderr is empty, all of stdout is JSON',
  stops: 'SIGTERM gives exit code 0, and `server.shutdown` is the last line',
  lives: 'the worker does not end by itself',
  responsive: 'in the middle of every attack, the p99 of `/health` is at most 50 ms',
  reachable: 'in the middle of every attack, `/live` is answered within a second on each new connection',
} as const;
export type Invariant = keyof typeof INVARIANTS;

export class Ledger {
  readonly checks = new Map<Invariant, number>();
  readonly faults = new Map<string, number>();
  readonly ends = new Map<string, number>();
  readonly violations: string[] = [];
  /** Number of violations of each invariant. */
  readonly broken = new Map<Invariant, number>();
  requests = 0;

  /** Checks an invariant; `details` is called only if it does not hold. */
  expect(invariant: Invariant, holds: boolean, details: () => string): void {
    raise(this.checks, invariant);
    if (holds) return;
    raise(this.broken, invariant);
    this.violations.push(`${INVARIANTS[invariant]}: ${details()}`);
  }

  /** Counts an injected fault. */
  injected(kind: string, times = 1): void {
    raise(this.faults, kind, times);
  }

  /** Counts a request by its outcome: `end`, the code of its error, or the status and code of its refusal. */
  ended(outcome: string): void {
    this.requests += 1;
    raise(this.ends, outcome);
  }
}

export function raise<K>(counts: Map<K, number>, key: K, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
