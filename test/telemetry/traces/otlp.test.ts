/** The text of a span, compared with that of the serializer of OpenTelemetry for the same span. */
import { type HrTime, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Attributes,
  type FinishedSpan,
  requestWriter,
  SPAN_KINDS,
  type SpanContext,
  STATUS_CODES,
  spanText,
} from '../../../src/telemetry/traces/span.ts';

type Official = NonNullable<Parameters<typeof JsonTraceSerializer.serializeRequest>[0]>[number];

const SCOPE = { name: 'rbees-workerd', version: '0.1.0', schemaUrl: 'https://opentelemetry.io/schemas/gen-ai/0.1.0' };
const RESOURCE = { 'service.name': 'worker', 'process.pid': 4242 };
const NANOS = 1_000_000_000n;

const hrTime = (time: bigint): HrTime => [Number(time / NANOS), Number(time % NANOS)];
const stateOf = (traceState: string | undefined) => traceState !== undefined && { serialize: () => traceState };
const contextOf = ({ traceState, ...context }: SpanContext) => ({
  ...context,
  traceState: stateOf(traceState) || undefined,
});

/** The same span in the form that the SDK has. */
function official(span: FinishedSpan): Official {
  const { context, parent } = span;
  return {
    name: span.name,
    kind: span.kind === SPAN_KINDS.server ? SpanKind.SERVER : SpanKind.INTERNAL,
    spanContext: () => contextOf(context),
    parentSpanContext: parent && { traceId: context.traceId, traceFlags: 1, ...parent },
    startTime: hrTime(span.start),
    endTime: hrTime(span.end),
    status: {
      code: [SpanStatusCode.UNSET, SpanStatusCode.OK, SpanStatusCode.ERROR][span.status.code],
    },
    attributes: span.attributes,
    links: [],
    events: span.events.map(({ name, time, attributes, droppedAttributes }) => ({
      name,
      time: hrTime(time),
      attributes,
      droppedAttributesCount: droppedAttributes,
    })),
    droppedAttributesCount: span.droppedAttributes,
    droppedEventsCount: span.droppedEvents,
    droppedLinksCount: 0,
    resource: { attributes: RESOURCE },
    instrumentationScope: SCOPE,
  } as unknown as Official;
}

/**
 * The JSON of the SDK, with its integers as decimal strings: the form that the specification demands of a
 * sender (decision 0043). Nothing else is changed.
 */
function withIntegersAsTexts(json: string): unknown {
  return JSON.parse(json, (key, value: unknown) => (key === 'intValue' ? String(value) : value));
}

function expectEqual(...spans: readonly FinishedSpan[]): void {
  // All spans of the SDK share one resource, by which the serializer groups them.
  const [first, ...others] = spans.map(official);
  const shared = first ? [first, ...others.map((one) => ({ ...one, resource: first.resource }))] : [];
  const theirs = new TextDecoder().decode(JsonTraceSerializer.serializeRequest(shared));
  const ours = requestWriter(RESOURCE, SCOPE)(spans.map(spanText));
  expect(JSON.parse(ours)).toEqual(withIntegersAsTexts(theirs));
}

const SPAN: FinishedSpan = {
  context: { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: 1 },
  name: 'chat haiku',
  kind: SPAN_KINDS.server,
  start: 1_796_058_359_996_000_001n,
  end: 1_796_058_360_056_441_534n,
  attributes: {},
  droppedAttributes: 0,
  events: [],
  droppedEvents: 0,
  status: { code: STATUS_CODES.unset },
};

test('a span without anything', () => expectEqual(SPAN));

test('a span with every kind of attribute, events, a parent, a state and an error', () => {
  const attributes: Attributes = {
    text: 'ünïcode "quoted" \u2028',
    empty: '',
    yes: true,
    no: false,
    whole: 42,
    negative: -7,
    zero: 0,
    largest: Number.MAX_SAFE_INTEGER,
    fraction: 0.1,
    tiny: 5e-324,
    texts: ['stop', 'length'],
    numbers: [1, 2.5],
    flags: [true, false],
    none: [],
  };
  expectEqual(
    {
      ...SPAN,
      context: { ...SPAN.context, traceState: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7', traceFlags: 3 },
      parent: { spanId: 'b7ad6b7169203331', isRemote: true },
      attributes,
      droppedAttributes: 2,
      events: [
        { name: 'request.validated', time: 1_796_058_360_009_400_184n, attributes, droppedAttributes: 0 },
        { name: 'empty', time: 1n, attributes: {}, droppedAttributes: 3 },
      ],
      droppedEvents: 5,
      status: { code: STATUS_CODES.error },
    },
    {
      ...SPAN,
      kind: SPAN_KINDS.internal,
      parent: { spanId: SPAN.context.spanId, isRemote: false },
      status: { code: STATUS_CODES.ok },
    },
  );
});

test('spans of random attributes and times', () => {
  const scalar = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true, max: 1e9, min: -1e9 }),
  );
  const attributes = fc.dictionary(fc.string(), fc.oneof(scalar, fc.array(fc.string()))).map((one) => ({ ...one }));
  const time = fc.bigInt({ min: 0n, max: 2n ** 62n });
  fc.assert(
    fc.property(attributes, attributes, time, time, (own, ofEvent, start, end) => {
      expectEqual({
        ...SPAN,
        start,
        end,
        attributes: own,
        events: [{ name: 'event', time: end, attributes: ofEvent, droppedAttributes: 0 }],
      });
    }),
  );
});

const encoded = (value: number): unknown =>
  JSON.parse(spanText({ ...SPAN, attributes: { value } })).attributes[0].value;

test('an integer is a decimal string: this is the only difference to the SDK, which writes a number', () => {
  const theirs = new TextDecoder().decode(
    JsonTraceSerializer.serializeRequest([official({ ...SPAN, attributes: { value: 7 } })]),
  );
  expect(theirs).toContain('"value":{"intValue":7}');
  expect(encoded(7)).toEqual({ intValue: '7' });
  expect(encoded(-0)).toEqual({ intValue: '0' });
  expect(encoded(Number.MIN_SAFE_INTEGER)).toEqual({ intValue: '-9007199254740991' });
});

test('a whole number from 2⁵³ on is a double: an integer of 64 bits may not hold it', () => {
  expect(encoded(2 ** 53)).toEqual({ doubleValue: 2 ** 53 });
  expect(encoded(1e300)).toEqual({ doubleValue: 1e300 });
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%d is a text of Protobuf', (value) => {
  expect(encoded(value)).toEqual({ doubleValue: String(value) });
});

test('an undefined attribute is left out', () => {
  const text = spanText({ ...SPAN, attributes: { absent: undefined, present: 'yes' } });
  expect(JSON.parse(text).attributes).toEqual([{ key: 'present', value: { stringValue: 'yes' } }]);
});
