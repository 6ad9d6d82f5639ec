/**
 * The settings of traces: the standard variables of OpenTelemetry
 * (https://opentelemetry.io/docs/specs/otel/protocol/exporter/). Loaded only if traces are wanted.
 */
import { shorten } from '../../protocol/text/error-message.ts';
import { shownUrl } from '../../protocol/text/url-text.ts';
import { basicAuthorization } from '../network/proxy-settings.ts';
import { type TraceProblem, TraceVariables } from './trace-values.ts';
import { ENDPOINTS, exporterNames } from './wanted.ts';

const SAMPLERS = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'always_on',
  'always_off',
  'traceidratio',
] as const;

/** Times in milliseconds. */
export interface TraceSettings {
  readonly receiver: {
    readonly url: URL;
    readonly headers: Readonly<Record<string, string>>;
    readonly compression: 'none' | 'gzip';
  };
  /** Limit of one attempt. */
  readonly timeoutMs: number;
  readonly batch: {
    readonly delayMs: number;
    readonly queueSize: number;
    readonly batchSize: number;
    readonly exportTimeoutMs: number;
  };
  readonly sampler: { readonly name: (typeof SAMPLERS)[number]; readonly ratio: number };
  readonly limits: {
    readonly attributes: number;
    readonly events: number;
    readonly eventAttributes: number;
    readonly valueChars: number;
  };
  /** Attributes of the resource that the environment sets. */
  readonly resource: Readonly<Record<string, string>>;
}

/** The settings, or undefined if traces stay off, and the values that are not used as given. */
export interface TraceConfiguration {
  readonly settings: TraceSettings | undefined;
  readonly problems: readonly TraceProblem[];
  /** Credentials of the headers, to be kept out of all texts. */
  readonly secrets: readonly string[];
}

const DEFAULT_URL = 'http://localhost:4318/v1/traces';
/** The largest value that the specification asks for. It is also the longest time of a timer. */
const MAX = 2 ** 31 - 1;

/** Headers that the exporter sets, or that belong to the connection. */
const OWN_HEADERS =
  /^(?:content-(?:type|length|encoding)|host|connection|transfer-encoding|te|upgrade|expect|keep-alive|trailer)$/i;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$/i;
/** Honeycomb takes its key in `x-honeycomb-team`. */
const CREDENTIAL_NAME = /auth|key|token|secret|password|credential|cookie|honeycomb-team/i;
const HEADER_VALUE = /^[\x20-\x7e]{0,4096}$/;

/** Variables that have no effect here, and the way out. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  CERTIFICATE: 'set NODE_EXTRA_CA_CERTS to the file instead',
  CLIENT_CERTIFICATE: 'send the spans to a local Collector, which can present a certificate',
  CLIENT_KEY: 'send the spans to a local Collector, which can present a certificate',
};

/** Reads the variables. Call it only if traces are wanted. Never throws. */
export function readTraceSettings(environment: NodeJS.Dict<string> = process.env): TraceConfiguration {
  const variables = new TraceVariables(environment);
  variables.flag('OTEL_SDK_DISABLED');
  const url = canExport(variables) ? receiverUrl(variables) : undefined;
  if (!url) return { settings: undefined, problems: variables.problems, secrets: [] };
  for (const [name, remedy] of Object.entries(UNSUPPORTED)) {
    const found = variables.given(...forTraces(name));
    if (found) variables.problem(found.name, `this variable is not supported; ${remedy}`);
  }
  const authorization = basicAuthorization(url);
  const given = variables.list({ isSecret: true, problemOf: headerProblem }, ...forTraces('HEADERS'));
  const headers = { ...(authorization !== undefined && { Authorization: authorization }), ...given };
  const credentials = Object.entries(headers).filter(([name, value]) => isCredential(name, value));
  const secrets = credentials.flatMap(([, value]) => [value, value.replace(/^\S+ +/, '')]);
  return {
    settings: {
      receiver: {
        url: withoutUser(url),
        headers,
        compression: variables.choice(['none', 'gzip'], 'none', ...forTraces('COMPRESSION')),
      },
      timeoutMs: timeout(variables, 10_000, ...forTraces('TIMEOUT')),
      batch: batchSettings(variables),
      sampler: sampler(variables),
      limits: limits(variables),
      resource: resource(variables),
    },
    problems: variables.problems,
    secrets,
  };
}

/** Why a header cannot be sent, without its value. */
function headerProblem(name: string, value: string): string | undefined {
  if (!HEADER_NAME.test(name)) return 'a name of a header has a character that is not allowed';
  const header = shorten(name, 60);
  if (OWN_HEADERS.test(name)) return `the header ${header} is set by the worker: remove it`;
  if (!HEADER_VALUE.test(value)) return `the value of the header ${header} must have at most 4096 characters of ASCII`;
  return undefined;
}

/** True for a value that no text may show. The name of a tenant is none: the word may stand in any text. */
const isCredential = (name: string, value: string): boolean =>
  CREDENTIAL_NAME.test(name) || (value.length >= 16 && /\d/.test(value) && /[a-z]/i.test(value));

/** The variable of traces, and that of all signals. */
const forTraces = (name: string): readonly [string, string] => [
  `OTEL_EXPORTER_OTLP_TRACES_${name}`,
  `OTEL_EXPORTER_OTLP_${name}`,
];

/** False if the exporter or the protocol is not supported. */
function canExport(variables: TraceVariables): boolean {
  const named = exporterNames(variables.environment);
  const names = named.length > 0 ? named : ['otlp'];
  const others = names.filter((name) => name !== 'otlp').join(',');
  if (others !== '') {
    const effect = names.includes('otlp') ? 'only otlp is used' : 'traces are off';
    const value = shorten(JSON.stringify(others), 60);
    variables.problem('OTEL_TRACES_EXPORTER', `${value} is not supported; allowed: otlp, none; ${effect}`);
  }
  if (!names.includes('otlp')) return false;
  const protocol = variables.given(...forTraces('PROTOCOL'));
  const name = protocol?.value.toLowerCase();
  if (!protocol || name === 'http/json') return true;
  // Receivers of http/protobuf take JSON at the same URL: the OTLP specification has both in one section.
  const isHttp = name === 'http/protobuf';
  const effect = isHttp
    ? 'the spans are sent as JSON to the same URL'
    : 'traces are off: set it to http/json, and the endpoint to the HTTP port of the receiver, 4318 by default';
  const value = shorten(JSON.stringify(protocol.value), 60);
  variables.problem(protocol.name, `${value} is not supported; allowed: http/json; ${effect}`);
  return isHttp;
}

/** `…_TRACES_ENDPOINT` as it is; `…_ENDPOINT` with `v1/traces` after its path. */
function receiverUrl(variables: TraceVariables): URL | undefined {
  const found = variables.given(...ENDPOINTS);
  const text = found?.value ?? DEFAULT_URL;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    const value = shorten(JSON.stringify(shownUrl(text)), 100);
    variables.problem(
      found?.name ?? ENDPOINTS[1],
      `${value} is not allowed; allowed: an http or https URL, such as http://localhost:4318; traces are off`,
    );
    return undefined;
  }
  if (found?.name === ENDPOINTS[1]) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`;
  return url;
}

function withoutUser(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  bare.hash = '';
  return bare;
}

/** Milliseconds. 0 is no limit, as the specification requires: the longest time of a timer. */
const timeout = (variables: TraceVariables, fallback: number, ...names: readonly string[]): number =>
  variables.whole({ min: 0, max: MAX }, fallback, ...names) || MAX;

function batchSettings(variables: TraceVariables): TraceSettings['batch'] {
  const queueSize = variables.whole({ min: 1, max: MAX }, 2048, 'OTEL_BSP_MAX_QUEUE_SIZE');
  const batchSize = variables.whole({ min: 1, max: MAX }, 512, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE');
  return {
    delayMs: variables.whole({ min: 0, max: MAX }, 5000, 'OTEL_BSP_SCHEDULE_DELAY'),
    queueSize,
    batchSize: Math.min(batchSize, queueSize),
    exportTimeoutMs: timeout(variables, 30_000, 'OTEL_BSP_EXPORT_TIMEOUT'),
  };
}

/** Only the samplers with a ratio read `OTEL_TRACES_SAMPLER_ARG`. */
function sampler(variables: TraceVariables): TraceSettings['sampler'] {
  const name = variables.choice(SAMPLERS, 'parentbased_always_on', 'OTEL_TRACES_SAMPLER');
  if (name.endsWith('traceidratio')) return { name, ratio: variables.ratio('OTEL_TRACES_SAMPLER_ARG') };
  if (variables.given('OTEL_TRACES_SAMPLER_ARG'))
    variables.problem(
      'OTEL_TRACES_SAMPLER_ARG',
      `the sampler ${name} has no argument; set OTEL_TRACES_SAMPLER to parentbased_traceidratio or traceidratio`,
    );
  return { name, ratio: 1 };
}

function limits(variables: TraceVariables): TraceSettings['limits'] {
  const range = { min: 0, max: MAX };
  const attributes = (name: string): number => variables.whole(range, 128, name, 'OTEL_ATTRIBUTE_COUNT_LIMIT');
  return {
    attributes: attributes('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT'),
    events: variables.whole(range, 128, 'OTEL_SPAN_EVENT_COUNT_LIMIT'),
    eventAttributes: attributes('OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT'),
    valueChars: variables.whole(
      range,
      MAX,
      'OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT',
      'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT',
    ),
  };
}

/** `OTEL_SERVICE_NAME` counts before `service.name` of the list. */
function resource(variables: TraceVariables): TraceSettings['resource'] {
  const problemOf = (key: string): string | undefined =>
    key.length > 256 ? 'a key has more than 256 characters' : undefined;
  const given = variables.list({ isSecret: false, problemOf }, 'OTEL_RESOURCE_ATTRIBUTES');
  const name = variables.given('OTEL_SERVICE_NAME')?.value;
  return { ...given, ...(name !== undefined && { 'service.name': name }) };
}
