/**
 * The narration of the worker. `narrate()` writes every event as one line to stdout. Inside a request it also
 * passes request events, with the same sentences and facts, to the stream of that request. The caller cannot
 * choose the sinks.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { CATALOGUE, type EventName, type FactsOf } from './catalogue/catalogue.ts';
import { type Entry, humanLimit, LIMITS } from './entry.ts';
import { FIELDS } from './fields.ts';
import { sanitize } from './sanitize.ts';
import { spanFacts } from './span-facts.ts';
import type { Level, Line, Stdout } from './stdout.ts';

/**
 * One narrated event: the line on stdout without its timestamp, and the data of a `narration` event in a
 * stream.
 */
export interface Narration extends Line {
  readonly level: Level;
  readonly event: EventName;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly human: string;
  readonly cute?: string;
  readonly story?: string;
  readonly correlation_id?: string;
  readonly worker_id: string;
  readonly job_id?: string;
  readonly run_id?: string;
}

/** The current request: the ids that all its events carry, and the receiver of its request events. */
export interface RequestContext {
  readonly correlationId: string;
  readonly jobId?: string;
  /** Id of the run of the job; absent if the request is no job. */
  readonly runId?: string;
  /**
   * W3C trace context: id of the trace; id of the worker's span of this request if traces are on, otherwise
   * of the caller's span.
   */
  readonly traceId?: string;
  readonly spanId?: string;
  /** Receives every request event of this request. */
  readonly onNarration?: (narration: Narration) => void;
  /** The span of this request; absent if traces are off. */
  readonly trace?: NarratedSpan;
}

/** A span that has the narration of its request as events. */
export interface NarratedSpan {
  /** True if the span is exported and has this event. */
  records(event: string): boolean;
  /** @param facts values that may leave the machine */
  narrated(event: string, facts: Readonly<Record<string, string | number | undefined>>): void;
}

/** The asynchronous scope of `runIn` or `capture`. */
interface Scope {
  readonly context?: RequestContext | undefined;
  /** For tests only: see `capture`. */
  readonly captured?: Narration[] | undefined;
}

const scopes = new AsyncLocalStorage<Scope>();

interface NarrationOutput {
  readonly workerId: string;
  readonly version: string;
  readonly stdout: Stdout;
  /** Called once for every event. */
  readonly count: (event: EventName) => void;
}

let output: NarrationOutput | undefined;

/** Sets the worker id, the version and the output. Called once, before the first event. */
export function startNarration(target: NarrationOutput): void {
  output = target;
}

/** Lines of standard output that were dropped since the start. */
export const linesLost = (): number => output?.stdout.lostInAll ?? 0;

/**
 * Resolves when all lines so far are written, or when the output stays blocked (see `Stdout.flush`).
 * @param ms longest time, in milliseconds
 */
export async function stopNarration(ms?: number): Promise<void> {
  reportLostLines();
  await output?.stdout.flush(ms);
}

/**
 * Narrates one event with its typed facts. The sentences come from the catalogue; worker, job, correlation
 * and trace ids are added here. Every string is sanitized before it reaches a sink. Never throws and never
 * waits.
 */
export function narrate<E extends EventName>(event: E, facts: FactsOf<E>): void {
  const { context, captured } = scopes.getStore() ?? {};
  const entry = CATALOGUE[event] as unknown as Entry;
  const narration = compose(event, entry, facts, context);
  reportLostLines();
  output?.stdout.write(narration, entry.always);
  output?.count(event);
  captured?.push(narration);
  if (entry.scope !== 'request') return;
  context?.onNarration?.(narration);
  if (context?.trace?.records(event)) context.trace.narrated(event, spanFacts({ ...narration }, entry));
}

/**
 * Runs `work` in a request context: all events that it narrates, also after an await, belong to that request.
 */
export function runIn<T>(context: RequestContext, work: () => T): T {
  return scopes.run({ context, captured: scopes.getStore()?.captured }, work);
}

/**
 * Test seam, unused in production: runs `work` and returns the events that it narrates, also after an await.
 */
export async function capture<T>(work: () => T | Promise<T>): Promise<{ result: T; narrations: readonly Narration[] }> {
  const captured: Narration[] = [];
  const result = await scopes.run({ ...scopes.getStore(), captured }, work);
  return { result, narrations: captured };
}

function compose(event: EventName, entry: Entry, facts: object, context: RequestContext | undefined): Narration {
  // The functions of the catalogue are typed per event. This function handles all events, so it knows the
  // facts only as a record.
  const clean = cleaned(facts);
  const known = clean as Parameters<Entry['human']>[0];
  const job = sanitize(context?.jobId ?? 'unknown', LIMITS.field);
  const worker = output?.workerId ?? 'unnamed';
  const target = entry.target?.(known, worker) ?? job;
  const level = typeof entry.level === 'function' ? entry.level(known) : entry.level;
  const line: Record<string, string | number> = {
    level,
    event,
    actor: entry.actor,
    action: entry.action,
    target: sanitize(target, LIMITS.field),
    human: sanitize(entry.human(known, job), humanLimit(level)),
  };
  if (entry.cute) line['cute'] = sanitize(entry.cute(known, job), LIMITS.cute);
  if (entry.story) line['story'] = sanitize(entry.story(known, job), LIMITS.story);
  if (context) line['correlation_id'] = context.correlationId;
  line['worker_id'] = worker;
  if (context?.jobId !== undefined) line['job_id'] = job;
  if (context?.runId !== undefined) line['run_id'] = context.runId;
  for (const [name, value] of Object.entries(clean)) line[name] = typeof value === 'string' ? value : round(value);
  if (context?.traceId !== undefined) line['trace_id'] = context.traceId;
  if (context?.spanId !== undefined) line['span_id'] = context.spanId;
  if (output) line['emitted_by'] = `rbees-workerd@${output.version}`;
  return line as unknown as Narration;
}

/**
 * The known facts, with sanitized texts. The sentences of the catalogue may shorten a text only after its
 * secrets are removed.
 */
function cleaned(facts: object): Readonly<Record<string, string | number>> {
  const clean: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(facts) as [keyof typeof FIELDS, string | number | undefined][]) {
    if (value === undefined) continue;
    clean[name] = typeof value === 'string' ? sanitize(value, FIELDS[name].limit ?? LIMITS.field) : value;
  }
  return clean;
}

/** At most three decimals: microseconds for a time in milliseconds. */
function round(value: number): number {
  return Number.isInteger(value) ? value : Math.round(value * 1000) / 1000;
}

/** True while `reportLostLines` narrates, which calls it again. */
let reporting = false;

/** Narrates the number of dropped lines as soon as the output accepts lines again. */
function reportLostLines(): void {
  if (reporting || !output) return;
  const lost = output.stdout.takeLost();
  if (lost === 0) return;
  reporting = true;
  narrate('stdout.lines_lost', { lines_lost: lost });
  reporting = false;
}
