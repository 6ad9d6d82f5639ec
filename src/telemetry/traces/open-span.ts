/**
 * A span that has begun: collects attributes and events within the limits, and becomes a finished span at its
 * end.
 */
import {
  type Attributes,
  type AttributeValue,
  type FinishedSpan,
  type SpanEvent,
  type SpanStatus,
  STATUS_CODES,
} from './span.ts';

/** The limits of a span: `OTEL_SPAN_EVENT_COUNT_LIMIT` and the others. */
export interface SpanLimits {
  readonly attributes: number;
  readonly events: number;
  readonly eventAttributes: number;
  /** Maximum UTF-16 units of a text. */
  readonly valueChars: number;
}

/** Converts times of performance.now() to nanoseconds since 1970. */
export class SpanClock {
  readonly #startMs: number;
  readonly #start: bigint;

  /** @param startMs now, on the clock of performance.now(), which no correction of the system clock moves */
  constructor(startMs: number, epochMs = Date.now()) {
    this.#startMs = startMs;
    this.#start = BigInt(Math.round(epochMs)) * 1_000_000n;
  }

  at(ms: number): bigint {
    return this.#start + BigInt(Math.round((ms - this.#startMs) * 1e6));
  }
}

/** The parts of a span that are known when it begins. */
export interface SpanStart extends Pick<FinishedSpan, 'context' | 'parent' | 'kind'> {
  readonly name: string;
  /** On the clock of performance.now(). */
  readonly at: number;
  readonly clock: SpanClock;
  readonly limits: SpanLimits;
}

export class OpenSpan {
  readonly #parts: SpanStart;
  readonly #attributes: Record<string, AttributeValue> = {};
  #attributeCount = 0;
  #droppedAttributes = 0;
  readonly #events: (SpanEvent & { readonly isMinor: boolean })[] = [];
  #droppedEvents = 0;
  #status: SpanStatus = { code: STATUS_CODES.unset };
  name: string;

  constructor(parts: SpanStart) {
    this.#parts = parts;
    this.name = parts.name;
  }

  /** Sets attributes. One above the limit is dropped. */
  set(attributes: Attributes): void {
    const { limits } = this.#parts;
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined) continue;
      if (!(name in this.#attributes)) {
        if (this.#attributeCount >= limits.attributes) {
          this.#droppedAttributes += 1;
          continue;
        }
        this.#attributeCount += 1;
      }
      this.#attributes[name] = shortened(value, limits.valueChars);
    }
  }

  /**
   * Adds an event that happens now. Above the limit, the oldest minor event makes room for it; without one,
   * the event is dropped.
   * @param isMinor true for a progress report
   */
  event(name: string, attributes: Attributes, isMinor: boolean): void {
    const { clock, limits } = this.#parts;
    if (this.#events.length >= limits.events) {
      this.#droppedEvents += 1;
      const oldest = this.#events.findIndex((event) => event.isMinor);
      if (oldest === -1) return;
      this.#events.splice(oldest, 1);
    }
    const all = Object.entries(attributes).filter(([, value]) => value !== undefined) as [string, AttributeValue][];
    const kept = all.slice(0, limits.eventAttributes).map(([key, value]) => [key, shortened(value, limits.valueChars)]);
    this.#events.push({
      name,
      time: clock.at(performance.now()),
      attributes: Object.fromEntries(kept),
      droppedAttributes: all.length - kept.length,
      isMinor,
    });
  }

  /** Marks the span as failed. @param code stable name of the error */
  fail(code: string): void {
    this.set({ 'error.type': code });
    this.#status = { code: STATUS_CODES.error };
  }

  /** The finished span. @param at time of its end, on the clock of performance.now() */
  end(at: number): FinishedSpan {
    const { context, parent, kind, clock, at: startAt } = this.#parts;
    return {
      context,
      ...(parent && { parent }),
      kind,
      name: this.name,
      start: clock.at(startAt),
      end: clock.at(Math.max(at, startAt)),
      attributes: this.#attributes,
      droppedAttributes: this.#droppedAttributes,
      events: this.#events,
      droppedEvents: this.#droppedEvents,
      status: this.#status,
    };
  }
}

const HALF_PAIR = /[\ud800-\udbff]$/;

/** A text, or the texts of a list, cut to the limit; before a surrogate pair that crosses it. */
function shortened(value: AttributeValue, chars: number): AttributeValue {
  if (typeof value === 'string') return value.length <= chars ? value : value.slice(0, chars).replace(HALF_PAIR, '');
  if (typeof value === 'object') return value.map((one) => shortened(one, chars) as string | number | boolean);
  return value;
}
