/**
 * How the worker speaks. `narrate()` writes every event as one line to stdout and, when a request event is told inside a request,
 * also into that request's own stream: the same sentences, the same facts. The caller cannot choose the sinks.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { CATALOGUE, type EventName, type FactsOf } from './catalogue/catalogue.ts';
import type { Entry } from './entry.ts';
import { FIELDS } from './fields.ts';
import { sanitize } from './sanitize.ts';
import type { Level, Line, Stdout } from './stdout.ts';

/** Most characters (UTF-16 units) of each kind of text. */
const LIMITS = { human: 100, cute: 150, story: 200, field: 256 } as const;

/** One event as it is told: what stdout prints after the timestamp, and what a stream's `narration` event carries. */
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
}

/** Whose story is being told: the ids that every event of it carries, and the stream that hears its request events. */
export interface RequestContext {
  readonly correlationId: string;
  readonly jobId?: string;
  /** W3C trace context of the caller. */
  readonly traceId?: string;
  readonly spanId?: string;
  readonly onNarration?: (narration: Narration) => void;
}

interface Scope {
  readonly context?: RequestContext | undefined;
  readonly captured?: Narration[] | undefined;
}

const scopes = new AsyncLocalStorage<Scope>();

interface NarrationOutput {
  readonly workerId: string;
  readonly version: string;
  readonly stdout: Stdout;
  /** Told of every event, to count it. */
  readonly count: (event: EventName) => void;
}

let output: NarrationOutput | undefined;

/** Gives the worker its name and its standard output. Called once, before the first event. */
export function startNarration(opened: NarrationOutput): void {
  output = opened;
}

/** Resolves when everything narrated so far has left the process. */
export async function stopNarration(): Promise<void> {
  reportLostLines();
  await output?.stdout.flush();
}

/**
 * Tells one event with its typed facts. Adds worker, job, correlation and trace ids by itself; sentences come from the catalogue;
 * every string is redacted, made harmless and cut before either sink sees it. Never throws, never waits.
 */
export function narrate<E extends EventName>(event: E, facts: FactsOf<E>): void {
  const { context, captured } = scopes.getStore() ?? {};
  const entry = CATALOGUE[event] as unknown as Entry;
  const narration = compose(event, entry, facts, context);
  reportLostLines();
  output?.stdout.write(narration);
  output?.count(event);
  captured?.push(narration);
  if (entry.scope === 'request') context?.onNarration?.(narration);
}

/** Runs `work` inside a story: whatever it narrates, now and after every await, belongs to that story. */
export function runIn<T>(context: RequestContext, work: () => T): T {
  return scopes.run({ context, captured: scopes.getStore()?.captured }, work);
}

/** Runs `work` and returns what was narrated inside it, and only there. For tests. */
export async function capture<T>(work: () => T | Promise<T>): Promise<{ result: T; narrations: readonly Narration[] }> {
  const captured: Narration[] = [];
  const result = await scopes.run({ ...scopes.getStore(), captured }, work);
  return { result, narrations: captured };
}

function compose(event: EventName, entry: Entry, facts: object, story: RequestContext | undefined): Narration {
  // The catalogue's functions are typed per event; here, where all events pass, the facts are known only as a record.
  const known = facts as Parameters<Entry['human']>[0];
  const job = sanitize(story?.jobId ?? 'unknown', LIMITS.field);
  const worker = output?.workerId ?? 'unnamed';
  const target = entry.target?.(known, worker) ?? job;
  const line: Record<string, string | number> = {
    level: typeof entry.level === 'function' ? entry.level(known) : entry.level,
    event,
    actor: entry.actor,
    action: entry.action,
    target: sanitize(target, LIMITS.field),
    human: sanitize(entry.human(known, job), LIMITS.human),
  };
  if (entry.cute) line['cute'] = sanitize(entry.cute(known, job), LIMITS.cute);
  if (entry.story) line['story'] = sanitize(entry.story(known, job), LIMITS.story);
  if (story) line['correlation_id'] = story.correlationId;
  line['worker_id'] = worker;
  if (story?.jobId !== undefined) line['job_id'] = job;
  for (const [name, value] of Object.entries(facts) as [keyof typeof FIELDS, string | number | undefined][]) {
    if (value === undefined) continue;
    line[name] = typeof value === 'string' ? sanitize(value, FIELDS[name].limit ?? LIMITS.field) : round(value);
  }
  if (story?.traceId !== undefined) line['trace_id'] = story.traceId;
  if (story?.spanId !== undefined) line['span_id'] = story.spanId;
  if (output) line['emitted_by'] = `rbees-workerd@${output.version}`;
  return line as unknown as Narration;
}

/** Microseconds are the finest figure worth reading. */
function round(value: number): number {
  return Number.isInteger(value) ? value : Math.round(value * 1000) / 1000;
}

let reporting = false;

/** Tells of dropped lines as soon as lines get through again. */
function reportLostLines(): void {
  if (reporting || !output) return;
  const lost = output.stdout.takeLost();
  if (lost === 0) return;
  reporting = true;
  narrate('stdout.lines_lost', { lines_lost: lost });
  reporting = false;
}
