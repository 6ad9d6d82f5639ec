/**
 * The native wire format of a stream: server-sent events with an id, a name, and one line of JSON.
 * Pure.
 */
import { eventIdPrefix } from '../contract/event-ids.ts';
import type { EventBody, EventType } from '../contract/events.ts';
import type { Encoder } from '../jobs/event-log.ts';
import type { JobEvent } from '../jobs/job-events.ts';
import type { OutputPart } from '../text/output/parts.ts';

/** Headers of a stream. `X-Accel-Buffering: no` turns off the buffering of nginx. */
export const SSE_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
} as const;

/**
 * The headers with the job and the run that an answer belongs to. The job id is percent-encoded, as in the
 * path of its events: a load balancer learns from it which worker has the job.
 * @param jobId without halves of surrogate pairs
 */
export const jobHeaders = (jobId: string, runId: string) =>
  ({ 'X-Job-Id': encodeURIComponent(jobId), 'X-Run-Id': runId }) as const;

/** Events that carry the correlation id. */
const CORRELATED: ReadonlySet<EventType> = new Set<EventType>(['started', 'narration', 'end', 'error']);

/**
 * The encoder of one stream: every event becomes one frame. The keep-alive text is a comment, which clients
 * ignore.
 * @param runId id of the run in the ids of the events; undefined: the ids are numbers
 */
export function sseEncoder(correlationId: string, runId?: string): Encoder {
  const prefix = eventIdPrefix(runId);
  return {
    keepAlive: ': keep-alive\n\n',
    encode(event, id) {
      if (event.type === 'prompt' || event.type === 'scores' || event.type === 'choice_end') return undefined;
      const correlation = CORRELATED.has(event.type) ? { correlation_id: correlationId } : undefined;
      const json = oneLine(JSON.stringify({ ...nativeForm(event), ...correlation }));
      return `id: ${prefix}${id}\nevent: ${event.type}\ndata: ${json}\n\n`;
    },
  };
}

/** The fields of an event that the native format has. A native order has one output. */
function nativeForm(event: JobEvent): object {
  if (event.type !== 'token') return event;
  const { choice, part, tokensOut, ...native } = event;
  return part ? { ...native, ...partFields(part) } : native;
}

type PartFields = Pick<EventBody<'token'>, 'part' | 'call' | 'call_id'> & { readonly t: string };

/** The text of a part, and the fields that name it. A part of the answer has only a text. */
function partFields(part: OutputPart): PartFields {
  switch (part.kind) {
    case 'content':
      return { t: part.text };
    case 'reasoning':
      return { t: part.text, part: 'reasoning' };
    case 'call':
      return { t: part.name, part: 'tool_name', call: part.index, call_id: part.id };
    case 'arguments':
      return { t: part.text, part: 'tool_arguments', call: part.index };
    default:
      return part satisfies never;
  }
}

/**
 * Escapes Unicode line ends. SSE ends lines at CR and LF only, but some clients split at every Unicode line
 * end (Python's `splitlines`).
 */
export function oneLine(json: string): string {
  return json.replace(/[\u0085\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
