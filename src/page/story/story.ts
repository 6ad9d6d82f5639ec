/**
 * The story of a request as data: its narration, the arrival of its tokens and the phases between them. Every
 * event of a stream is added to it. Pure.
 */
import type { StreamEvent } from '../../contract/events.ts';

type NarrationEvent = Extract<StreamEvent, { type: 'narration' }>;
/** The names of all narrations, for tables that the compiler checks. */
export type EventName = NarrationEvent['event'];
type EndEvent = Extract<StreamEvent, { type: 'end' }>;

/** A sentence of the worker. `at`: milliseconds after the request was sent, on the clock of the page. */
export interface Sentence {
  readonly at: number;
  readonly event: string;
  readonly level: string;
  readonly actor: string;
  readonly target: string;
  readonly human: string;
  readonly cute?: string;
  readonly story?: string;
  /** The typed fields of the event. */
  readonly facts: Readonly<Record<string, string | number>>;
}

/** `preparing`: before the queue and the slot. `interrupted`: without its slot, until it goes on. */
export type Phase = 'preparing' | 'queued' | 'reading' | 'writing' | 'paused' | 'interrupted' | 'finishing';

export interface Span {
  readonly phase: Phase;
  readonly from: number;
}

/** The parts of the duration in milliseconds, measured by the worker. */
export interface TimeSpent {
  readonly duration: number;
  readonly queue: number;
  readonly prefill: number;
  readonly decode: number;
}

export interface Story {
  /** When the request was sent, in milliseconds since 1970. */
  readonly sentAt: number;
  model?: string;
  correlationId?: string;
  seed?: number;
  spans: Span[];
  sentences: Sentence[];
  /** Arrivals of tokens: milliseconds after the request was sent, and the pieces of text until then. */
  arrivals: [at: number, pieces: number][];
  tokens: number;
  speed?: number;
  batch?: number;
  spent?: TimeSpent;
  end?: EndEvent;
  /** Milliseconds after the request was sent. */
  endedAt?: number;
}

export const newStory = (sentAt: number): Story => ({
  sentAt,
  spans: [{ phase: 'preparing', from: 0 }],
  sentences: [],
  arrivals: [],
  tokens: 0,
});

/** Sentences that the page keeps; beyond, every second report of progress is dropped. */
const MOST_SENTENCES = 600;
/** Arrivals that the page keeps; beyond, every second one is dropped. */
const MOST_ARRIVALS = 2000;

/** Events of which many follow each other. */
export const REPEATED: ReadonlySet<string> = new Set<EventName>(['tokens.progress', 'prefill.progress', 'queue.moved']);

/** The phase that begins with an event. */
const PHASES: Readonly<Record<string, Phase>> = {
  'request.queued': 'queued',
  'request.requeued': 'queued',
  'cache.reset': 'reading',
  'generation.paused': 'paused',
  'request.stalled': 'paused',
  'request.interrupted': 'interrupted',
  'request.held': 'interrupted',
  'request.preempted': 'interrupted',
  'generation.resumed': 'writing',
  'request.recovered': 'writing',
  'request.resumed': 'writing',
  'inference.complete': 'finishing',
} satisfies Partial<Record<EventName, Phase>>;

/** Adds an event to a story. `now`: milliseconds since 1970. */
export function addToStory(story: Story, event: StreamEvent, now: number): void {
  const at = Math.max(0, now - story.sentAt);
  switch (event.type) {
    case 'started':
      story.model = event.model;
      story.seed = event.seed;
      story.correlationId = event.correlation_id;
      break;
    case 'narration':
      addSentence(story, event, at);
      break;
    case 'token':
      addToken(story, at);
      break;
    case 'metrics':
      story.speed = event.tokens_per_sec;
      story.batch = event.batch_size;
      break;
    case 'end':
      story.end = event;
      story.endedAt = at;
      break;
    case 'error':
      story.correlationId ??= event.correlation_id;
      story.endedAt = at;
  }
}

function addToken(story: Story, at: number): void {
  story.tokens += 1;
  // The first token, and the first one after a pause that no sentence ended.
  if (story.spans.at(-1)?.phase !== 'writing') enter(story, 'writing', at);
  const last = story.arrivals.at(-1);
  if (last && at - last[0] < 1) last[1] = story.tokens;
  else story.arrivals.push([at, story.tokens]);
  if (story.arrivals.length > MOST_ARRIVALS) story.arrivals = story.arrivals.filter((_, index) => index % 2 === 0);
}

/** Fields of every narration: all others are facts. */
const COMMON: ReadonlySet<string> = new Set([
  ...['type', 'event', 'level', 'actor', 'action', 'target', 'human', 'cute', 'story'],
  ...['correlation_id', 'worker_id', 'job_id', 'run_id', 'trace_id', 'span_id', 'emitted_by'],
]);

function addSentence(story: Story, event: NarrationEvent, at: number): void {
  const { level, actor, target, human, cute, story: dialogue } = event;
  const facts: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(event))
    if (!COMMON.has(name) && (typeof value === 'string' || typeof value === 'number')) facts[name] = value;
  story.sentences.push({
    at,
    event: event.event,
    level,
    actor,
    target,
    human,
    ...(cute !== undefined && { cute }),
    ...(dialogue !== undefined && { story: dialogue }),
    facts,
  });
  if (story.sentences.length > MOST_SENTENCES) story.sentences = withoutHalf(story.sentences);
  const phase = PHASES[event.event];
  // A request that stalls, pauses or is interrupted before its first token goes back to its reading.
  const isEarly = phase === 'writing' && story.tokens === 0;
  if (phase) enter(story, isEarly ? 'reading' : phase, at);
  if (event.event === 'time.explained') story.spent = timeOf(facts);
}

/** The sentences without every second report of progress, and without the earliest if all are others. */
function withoutHalf(sentences: readonly Sentence[]): Sentence[] {
  let reports = 0;
  const kept = sentences.filter(({ event }) => !REPEATED.has(event) || ++reports % 2 === 0);
  return kept.length < sentences.length ? kept : kept.slice(1);
}

function enter(story: Story, phase: Phase, at: number): void {
  if (story.spans.at(-1)?.phase !== phase) story.spans.push({ phase, from: at });
}

const timeOf = (facts: Sentence['facts']): TimeSpent => ({
  duration: Number(facts['duration_ms'] ?? 0),
  queue: Number(facts['queue_ms'] ?? 0),
  prefill: Number(facts['prefill_ms'] ?? 0),
  decode: Number(facts['decode_time_ms'] ?? 0),
});

/** The current phase of a request. */
export function phaseOf(story: Story): Phase {
  return story.spans.at(-1)?.phase ?? 'preparing';
}
