/** The standard variables of OpenTelemetry. */
import { describe, expect, test } from 'vitest';
import { readTraceSettings, type TraceSettings } from '../../../src/config/traces/trace-settings.ts';
import { tracesWanted } from '../../../src/config/traces/wanted.ts';

const BASE = 'OTEL_EXPORTER_OTLP_ENDPOINT';
const OWN = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
const ENDPOINT = { [BASE]: 'http://collector:4318' };

/** Settings of an environment without problems. */
function settingsOf(environment: Record<string, string>): TraceSettings {
  const { settings, problems } = readTraceSettings({ ...ENDPOINT, ...environment });
  expect(problems).toEqual([]);
  if (!settings) throw new Error('Traces are off.');
  return settings;
}

describe('traces are on', () => {
  test.each([
    [false, {}],
    [false, { [BASE]: '' }],
    [true, ENDPOINT],
    [true, { [OWN]: 'http://collector/x' }],
    [true, { OTEL_TRACES_EXPORTER: 'otlp' }],
    [false, { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
    [false, { ...ENDPOINT, OTEL_TRACES_EXPORTER: ' None ' }],
    [false, { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'otlp,none' }],
    [true, { ...ENDPOINT, OTEL_TRACES_EXPORTER: ' , ' }],
    [true, { OTEL_TRACES_EXPORTER: 'console' }],
    [false, { OTEL_SDK_DISABLED: 'false' }],
    [false, { ...ENDPOINT, OTEL_SDK_DISABLED: 'True' }],
    [true, { ...ENDPOINT, OTEL_SDK_DISABLED: 'yes' }],
    [false, { OTEL_SERVICE_NAME: 'worker', OTEL_EXPORTER_OTLP_HEADERS: 'a=b' }],
  ])('%s with %j', (expected, environment: Record<string, string>) => {
    expect(tracesWanted(environment)).toBe(expected);
  });
});

describe('the URL of the receiver', () => {
  test.each([
    [{ [BASE]: 'http://host:4318' }, 'http://host:4318/v1/traces'],
    [{ [BASE]: 'http://host:4318/' }, 'http://host:4318/v1/traces'],
    [{ [BASE]: 'https://host/otlp' }, 'https://host/otlp/v1/traces'],
    [{ [BASE]: 'https://host/otlp/' }, 'https://host/otlp/v1/traces'],
    [{ [BASE]: 'http://other', [OWN]: 'http://host:4318' }, 'http://host:4318/'],
    [{ [OWN]: 'http://host/own/path' }, 'http://host/own/path'],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'http://localhost:4318/v1/traces'],
  ])('of %j is %s', (environment: Record<string, string>, url) => {
    expect(readTraceSettings(environment).settings?.receiver.url.href).toBe(url);
  });

  test('a user in the URL becomes a header, and is kept secret', () => {
    const { settings, secrets } = readTraceSettings({ [BASE]: 'http://me:pass-word@host' });
    expect(settings?.receiver).toMatchObject({ headers: { Authorization: 'Basic bWU6cGFzcy13b3Jk' } });
    expect(settings?.receiver.url.href).toBe('http://host/v1/traces');
    expect(secrets).toContain('bWU6cGFzcy13b3Jk');
  });
});

test('without other variables, the defaults of the specification count', () => {
  expect(settingsOf({})).toMatchObject({
    receiver: { headers: {}, compression: 'none' },
    timeoutMs: 10_000,
    batch: { delayMs: 5000, queueSize: 2048, batchSize: 512, exportTimeoutMs: 30_000 },
    sampler: { name: 'parentbased_always_on', ratio: 1 },
    limits: { attributes: 128, events: 128, eventAttributes: 128 },
    resource: {},
  });
});

test('a variable of traces counts before the one of all signals', () => {
  const settings = settingsOf({
    OTEL_EXPORTER_OTLP_HEADERS: 'all=1',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'own=2',
    OTEL_EXPORTER_OTLP_TIMEOUT: '1',
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '2000',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
    OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'gzip',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
  });
  expect(settings).toMatchObject({ receiver: { headers: { own: '2' }, compression: 'gzip' }, timeoutMs: 2000 });
  expect(settings.receiver.headers).not.toHaveProperty('all');
});

test('headers are percent-decoded, white space around them is removed, and values may have equals signs', () => {
  const { receiver } = settingsOf({
    OTEL_EXPORTER_OTLP_HEADERS: ' x-honeycomb-team = key== , Authorization=Basic%20dXNlcg%3D%3D,, x-list=a%2Cb ',
  });
  expect(receiver.headers).toEqual({
    'x-honeycomb-team': 'key==',
    Authorization: 'Basic dXNlcg==',
    'x-list': 'a,b',
  });
});

test('the headers of traces replace those of all signals, and are not merged with them', () => {
  const { receiver } = settingsOf({
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20dXNlcg==,x-tenant=a',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-tenant=b',
  });
  expect(receiver.headers).toEqual({ 'x-tenant': 'b' });
});

test.each([
  ['X-Scope-OrgID=inference', []],
  ['x-api-key=short', ['short']],
  ['authorization=Basic%20YWJj', ['Basic YWJj', 'YWJj']],
  ['x-honeycomb-team=abc,x-honeycomb-dataset=production', ['abc']],
  ['x-tenant=0123456789abcdef', ['0123456789abcdef']],
])('of the headers %s, the credentials are kept secret', (headers, secrets) => {
  const read = readTraceSettings({ [BASE]: 'http://host', OTEL_EXPORTER_OTLP_HEADERS: headers });
  expect([...new Set(read.secrets)]).toEqual(secrets);
});

test('an empty variable counts as absent', () => {
  const names = ['HEADERS', 'TIMEOUT', 'COMPRESSION', 'PROTOCOL', 'CERTIFICATE'].flatMap((name) => [
    `OTEL_EXPORTER_OTLP_${name}`,
    `OTEL_EXPORTER_OTLP_TRACES_${name}`,
  ]);
  const others = [
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    'OTEL_TRACES_EXPORTER',
    'OTEL_SDK_DISABLED',
    'OTEL_SERVICE_NAME',
    'OTEL_RESOURCE_ATTRIBUTES',
    'OTEL_TRACES_SAMPLER',
    'OTEL_TRACES_SAMPLER_ARG',
    'OTEL_BSP_SCHEDULE_DELAY',
    'OTEL_BSP_MAX_QUEUE_SIZE',
    'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
    'OTEL_BSP_EXPORT_TIMEOUT',
    'OTEL_SPAN_EVENT_COUNT_LIMIT',
    'OTEL_ATTRIBUTE_COUNT_LIMIT',
    'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT',
  ];
  const empty = Object.fromEntries([...names, ...others].map((name) => [name, ' ']));
  expect(tracesWanted({ ...empty, ...ENDPOINT })).toBe(true);
  expect(settingsOf(empty)).toEqual(settingsOf({}));
});

test('all numbers up to 2³¹ − 1 are allowed; a timeout of 0 is none', () => {
  const largest = String(2 ** 31 - 1);
  const settings = settingsOf({
    OTEL_EXPORTER_OTLP_TIMEOUT: '0',
    OTEL_BSP_EXPORT_TIMEOUT: '0',
    OTEL_BSP_SCHEDULE_DELAY: '0',
    OTEL_BSP_MAX_QUEUE_SIZE: largest,
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: largest,
    OTEL_SPAN_EVENT_COUNT_LIMIT: '0',
    OTEL_ATTRIBUTE_COUNT_LIMIT: largest,
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: largest,
  });
  expect(settings).toMatchObject({
    timeoutMs: 2 ** 31 - 1,
    batch: { delayMs: 0, queueSize: 2 ** 31 - 1, batchSize: 2 ** 31 - 1, exportTimeoutMs: 2 ** 31 - 1 },
    limits: { events: 0, attributes: 2 ** 31 - 1, valueChars: 2 ** 31 - 1 },
  });
});

test('the other variables', () => {
  const settings = settingsOf({
    OTEL_SERVICE_NAME: 'haiku',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,deployment.environment.name=a%20b',
    OTEL_TRACES_SAMPLER: 'ParentBased_TraceIdRatio',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
    OTEL_BSP_SCHEDULE_DELAY: '200',
    OTEL_BSP_MAX_QUEUE_SIZE: '100',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '500',
    OTEL_BSP_EXPORT_TIMEOUT: '1000',
    OTEL_SPAN_EVENT_COUNT_LIMIT: '10',
    OTEL_ATTRIBUTE_COUNT_LIMIT: '20',
    OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: '5',
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '30',
  });
  expect(settings).toMatchObject({
    resource: { 'service.name': 'haiku', 'deployment.environment.name': 'a b' },
    sampler: { name: 'parentbased_traceidratio', ratio: 0.25 },
    // A batch is never larger than the queue.
    batch: { delayMs: 200, queueSize: 100, batchSize: 100, exportTimeoutMs: 1000 },
    limits: { events: 10, attributes: 20, eventAttributes: 5, valueChars: 30 },
  });
});

describe('a value that cannot be used', () => {
  test.each([
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'OTEL_EXPORTER_OTLP_PROTOCOL', /"grpc".*http\/json.*4318/, false],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }, 'OTEL_EXPORTER_OTLP_PROTOCOL', /http\/json.*as JSON/, true],
    [{ OTEL_TRACES_EXPORTER: 'zipkin' }, 'OTEL_TRACES_EXPORTER', /"zipkin".*otlp, none.*off/, false],
    [{ OTEL_TRACES_EXPORTER: 'otlp,foo,foo' }, 'OTEL_TRACES_EXPORTER', /"foo,foo".*otlp, none.*only otlp/, true],
    [{ OTEL_TRACES_EXPORTER: 'otlp,console' }, 'OTEL_TRACES_EXPORTER', /"console".*only otlp/, true],
    [{ [BASE]: 'collector:4318' }, BASE, /"collector:4318".*http:\/\/localhost:4318/, false],
    [{ [BASE]: 'collector' }, BASE, /"collector".*http:\/\/localhost:4318/, false],
    [{ [OWN]: 'ftp://collector' }, OWN, /"ftp:.*http or https/, false],
    [
      { OTEL_EXPORTER_OTLP_HEADERS: 'secret-without-equals' },
      'OTEL_EXPORTER_OTLP_HEADERS',
      /\(hidden\).*ignored/,
      true,
    ],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a=%zz' }, 'OTEL_EXPORTER_OTLP_HEADERS', /\(hidden\)/, true],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a=b%0d%0ac' }, 'OTEL_EXPORTER_OTLP_HEADERS', /\(hidden\).*header a must/, true],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a=b\r\nx-evil: c' }, 'OTEL_EXPORTER_OTLP_HEADERS', /\(hidden\)/, true],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a%0a=b' }, 'OTEL_EXPORTER_OTLP_HEADERS', /\(hidden\)/, true],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'ünicode=b' }, 'OTEL_EXPORTER_OTLP_HEADERS', /\(hidden\)/, true],
    [{ OTEL_EXPORTER_OTLP_HEADERS: `a=${'b'.repeat(9000)}` }, 'OTEL_EXPORTER_OTLP_HEADERS', /\(hidden\)/, true],
    [
      { OTEL_EXPORTER_OTLP_HEADERS: 'Content-Type=x' },
      'OTEL_EXPORTER_OTLP_HEADERS',
      /\(hidden\).*header Content-Type is set by the worker: remove it/,
      true,
    ],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'a=1,b' }, 'OTEL_RESOURCE_ATTRIBUTES', /"a=1,b".*whole list/, true],
    [{ OTEL_EXPORTER_OTLP_TIMEOUT: '10s' }, 'OTEL_EXPORTER_OTLP_TIMEOUT', /"10s".*whole number.*10000/, true],
    [{ OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd' }, 'OTEL_EXPORTER_OTLP_COMPRESSION', /"zstd".*none, gzip/, true],
    [{ OTEL_TRACES_SAMPLER: 'jaeger_remote' }, 'OTEL_TRACES_SAMPLER', /parentbased_always_on is used/, true],
    [{ OTEL_TRACES_SAMPLER_ARG: '0.1' }, 'OTEL_TRACES_SAMPLER_ARG', /always_on has no argument.*traceidratio/, true],
    [
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' },
      'OTEL_TRACES_SAMPLER_ARG',
      /"2".*from 0 to 1; 1 is used/,
      true,
    ],
    [{ OTEL_SDK_DISABLED: 'yes' }, 'OTEL_SDK_DISABLED', /"yes".*true, false; false is used/, true],
    [{ OTEL_EXPORTER_OTLP_TIMEOUT: '2147483648' }, 'OTEL_EXPORTER_OTLP_TIMEOUT', /"2147483648".*2147483647/, true],
    [{ OTEL_BSP_MAX_QUEUE_SIZE: '9'.repeat(400) }, 'OTEL_BSP_MAX_QUEUE_SIZE', /999….*2147483647; 2048 is used/, true],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'a=%e0%a4%a' }, 'OTEL_RESOURCE_ATTRIBUTES', /"a=%e0%a4%a".*whole list/, true],
    [{ [BASE]: 'http://host:99999' }, BASE, /99999.*http or https.*off/, false],
    [{ [BASE]: 'http://' }, BASE, /http or https.*off/, false],
    [{ OTEL_ATTRIBUTE_COUNT_LIMIT: 'many' }, 'OTEL_ATTRIBUTE_COUNT_LIMIT', /"many".*whole number.*128 is used/, true],
    [{ OTEL_BSP_SCHEDULE_DELAY: '-1' }, 'OTEL_BSP_SCHEDULE_DELAY', /"-1".*5000 is used/, true],
    [{ OTEL_EXPORTER_OTLP_CERTIFICATE: '/ca' }, 'OTEL_EXPORTER_OTLP_CERTIFICATE', /NODE_EXTRA_CA_CERTS/, true],
  ])('%j: the problem names variable, value, allowed values and the way out', (given, variable, reason, isOn) => {
    const { settings, problems } = readTraceSettings({ ...ENDPOINT, ...(given as Record<string, string>) });
    expect(problems).toEqual([{ variable, reason: expect.stringMatching(reason) }]);
    expect(settings !== undefined).toBe(isOn);
  });

  test('never shows a header or a password', () => {
    const { problems } = readTraceSettings({
      [BASE]: 'ftp://me:pass-word@host?key=pass-word',
      OTEL_EXPORTER_OTLP_HEADERS: 'pass-word',
    });
    expect(problems.length).toBeGreaterThan(0);
    expect(JSON.stringify(problems)).not.toContain('pass-word');
  });
});
