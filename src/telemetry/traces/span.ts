/**
 * A finished span, and its text in the JSON form of OTLP 1.x
 * (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in hex, enumerations as numbers,
 * integers of 64 bits as decimal strings. Pure.
 */

type Scalar = string | number | boolean;
export type AttributeValue = Scalar | readonly Scalar[];
/** An attribute that is undefined is left out. */
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

/** The identity of a span. */
export interface SpanContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** The flags of W3C Trace Context: bit 0 is "sampled". */
  readonly traceFlags: number;
  /** The header `tracestate`, unchanged. */
  readonly traceState?: string | undefined;
}

/** The parent of a span. */
export interface SpanParent {
  readonly spanId: string;
  /** True if the parent is a span of another process. */
  readonly isRemote: boolean;
}

export interface SpanEvent {
  readonly name: string;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly attributes: Attributes;
  readonly droppedAttributes: number;
}

/** The numbers of the protocol. */
export const SPAN_KINDS = { internal: 1, server: 2 } as const;
export const STATUS_CODES = { unset: 0, ok: 1, error: 2 } as const;

export interface SpanStatus {
  readonly code: (typeof STATUS_CODES)[keyof typeof STATUS_CODES];
}

export interface FinishedSpan {
  readonly context: SpanContext;
  readonly parent?: SpanParent | undefined;
  readonly name: string;
  readonly kind: (typeof SPAN_KINDS)[keyof typeof SPAN_KINDS];
  /** Nanoseconds since 1970. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Attributes;
  readonly droppedAttributes: number;
  readonly events: readonly SpanEvent[];
  readonly droppedEvents: number;
  readonly status: SpanStatus;
}

/** The program that makes the spans, and the conventions of their attributes. */
export interface Scope {
  readonly name: string;
  readonly version: string;
  readonly schemaUrl: string;
}

/** Bits of the field `flags` above those of W3C: the sender knows if the parent is remote; it is. */
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

const flagsOf = (traceFlags: number, isRemote: boolean): number =>
  (traceFlags & 0xff) | HAS_IS_REMOTE | (isRemote ? IS_REMOTE : 0);

/** The JSON text of a span. */
export function spanText(span: FinishedSpan): string {
  const { context, parent, events, status } = span;
  return JSON.stringify({
    traceId: context.traceId,
    spanId: context.spanId,
    parentSpanId: parent?.spanId,
    traceState: context.traceState,
    name: span.name,
    kind: span.kind,
    startTimeUnixNano: String(span.start),
    endTimeUnixNano: String(span.end),
    attributes: keyValues(span.attributes),
    droppedAttributesCount: span.droppedAttributes,
    events: events.map(({ name, time, attributes, droppedAttributes }) => ({
      attributes: keyValues(attributes),
      name,
      timeUnixNano: String(time),
      droppedAttributesCount: droppedAttributes,
    })),
    droppedEventsCount: span.droppedEvents,
    status,
    links: [],
    droppedLinksCount: 0,
    flags: flagsOf(context.traceFlags, parent?.isRemote === true),
  });
}

/** Returns a function that makes the body of a request from the texts of spans. */
export function requestWriter(resource: Attributes, scope: Scope): (spans: readonly string[]) => string {
  const { name, version, schemaUrl } = scope;
  const before = `{"resourceSpans":[{"resource":${JSON.stringify({ attributes: keyValues(resource), droppedAttributesCount: 0 })},"scopeSpans":[{"scope":${JSON.stringify({ name, version })},"spans":[`;
  const after = `],"schemaUrl":${JSON.stringify(schemaUrl)}}]}]}`;
  return (spans) => before + spans.join(',') + after;
}

const keyValues = (attributes: Attributes) =>
  Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: anyValue(value) }]));

/**
 * The value of an attribute. A safe integer is an integer of 64 bits. Any other number is a double: a whole
 * number beyond 2⁵³ may not fit into 64 bits. The JSON of Protobuf has texts for NaN and the infinities.
 */
function anyValue(value: AttributeValue): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value !== 'number') return { arrayValue: { values: value.map(anyValue) } };
  if (Number.isSafeInteger(value)) return { intValue: String(value) };
  return { doubleValue: Number.isFinite(value) ? value : String(value) };
}
