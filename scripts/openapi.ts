/**
 * Builds the OpenAPI 3.1 document: schemas from zod, error codes from the error table, routes from the route
 * table, their prose from openapi-routes.ts, webhooks from openapi-webhooks.ts, examples from test/recordings.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { messagesIn } from '../src/client/client.ts';
import { ERRORS, type ErrorCode, STREAM_ERROR_CODES } from '../src/contract/errors.ts';
import { EVENTS, type EventType } from '../src/contract/events.ts';
import '../src/contract/answers.ts';
import '../src/contract/callback.ts';
import '../src/contract/execute-body.ts';
import { ROUTES, type RouteId, type Route as RouteRow } from '../src/contract/routes.ts';
import { LOAD_HEADERS } from '../src/http/operator/load-headers.ts';
import type { Answer, Content, RouteProse } from './openapi-prose.ts';
import { ABOUT, HEADERS_OUT, PARAMETERS, routeProse, TAGS } from './openapi-routes.ts';
import { CALLBACK_SECURITY, webhooks } from './openapi-webhooks.ts';

type Schema = Readonly<Record<string, unknown>>;
type Components = Readonly<Record<string, Schema>>;
type Example = readonly [name: string, example: object];

/** One recorded exchange, as scripts/record.ts writes it. */
export interface Recording {
  readonly name: string;
  readonly about: string;
  readonly request: { readonly method: string; readonly path: string; readonly body?: object };
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
  readonly log: readonly Readonly<Record<string, unknown>>[];
}

const ROOT = new URL('../', import.meta.url);
const RECORDINGS = new URL('test/recordings/', ROOT);
const SSE = 'text/event-stream';

/** The whole document as an object. */
export function openapi(): object {
  const { version } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { version: string };
  const recordings = readRecordings();
  const components = schemas();
  return {
    openapi: '3.1.1',
    info: {
      title: 'rbees-workerd',
      version,
      description: ABOUT,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: 'http://127.0.0.1:8080', description: 'The default address of a worker' }],
    security: [{ bearer: [] }, { apiKey: [] }],
    tags: TAGS,
    paths: pathsOf(recordings, components),
    webhooks: webhooks(),
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'The `--api-token` of the worker. A worker without a token requires none.',
        },
        apiKey: {
          type: 'apiKey',
          in: 'header',
          name: 'x-api-key',
          description: 'The same token, for clients of Anthropic. If both headers are sent, `Authorization` counts.',
        },
        ...CALLBACK_SECURITY,
      },
      parameters: Object.fromEntries(
        Object.entries(PARAMETERS).map(([name, parameter]) => [name, { name, in: 'header', ...parameter }]),
      ),
      headers: HEADERS_OUT,
      schemas: components,
    },
  };
}

/** Every recorded exchange. */
export function readRecordings(): Recording[] {
  const files = readdirSync(RECORDINGS).filter((name) => name.endsWith('.json'));
  return files.sort().map((name) => JSON.parse(readFileSync(new URL(name, RECORDINGS), 'utf8')) as Recording);
}

/** All schemas in the order of their names: the order of the registry depends on the order of the imports. */
function schemas(): Components {
  const { schemas: all } = z.toJSONSchema(z.globalRegistry, {
    io: 'input',
    uri: (id) => `#/components/schemas/${id}`,
    override: dropNoise,
  });
  const named = Object.entries(all).map(([id, { $schema, $id, ...schema }]) => [id, tidy(schema) as Schema] as const);
  return Object.fromEntries(named.sort(([first], [second]) => (first < second ? -1 : 1)));
}

/**
 * Removes keywords that zod adds by itself: bounds of safe integers, the pattern of a date, the type of the
 * keys of a record.
 */
function dropNoise({
  zodSchema,
  jsonSchema,
}: {
  readonly zodSchema: z.core.$ZodTypes;
  readonly jsonSchema: z.core.JSONSchema.BaseSchema;
}): void {
  const { type, checks = [] } = zodSchema._zod.def;
  const hasCheck = (name: string): boolean => checks.some((check) => check._zod.def.check === name);
  if (type === 'number' && !hasCheck('less_than')) delete jsonSchema.maximum;
  if (type === 'number' && !hasCheck('greater_than') && jsonSchema.minimum !== undefined) delete jsonSchema.minimum;
  if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  if (type === 'record') delete jsonSchema.propertyNames;
}

/** The same schema with `type` and `description` first, and with null among its types where it may be null. */
function tidy(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(tidy);
  if (typeof node !== 'object' || node === null) return node;
  const { type, description, properties, ...rest } = withNull(node as Record<string, unknown>);
  return {
    ...(type !== undefined && { type: tidy(type) }),
    ...(description !== undefined && { description: tidy(description) }),
    ...Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, tidy(value)])),
    ...(properties !== undefined && {
      properties: Object.fromEntries(
        Object.entries(properties as object).map(([name, schema]) => [name, tidy(schema)]),
      ),
    }),
  };
}

/** `anyOf` of a schema and null as one schema with one type more. */
function withNull(node: Record<string, unknown>): Record<string, unknown> {
  const { anyOf, ...rest } = node;
  if (!Array.isArray(anyOf) || anyOf.length !== 2 || anyOf[1]?.type !== 'null') return node;
  const [first] = anyOf as readonly Record<string, unknown>[];
  if (Array.isArray(first?.['anyOf'])) return { ...rest, ...first, anyOf: [...first['anyOf'], anyOf[1]] };
  // A field of any value; a reference keeps its composition.
  if (first?.['type'] === undefined) return first?.['$ref'] === undefined ? { ...rest, ...first } : node;
  const {
    type,
    enum: values,
    ...schema
  } = first as unknown as { readonly type: string | readonly string[]; readonly enum?: readonly unknown[] };
  return { type: [type, 'null'].flat(), ...schema, ...(values && { enum: [...values, null] }), ...rest };
}

function pathsOf(recordings: readonly Recording[], components: Components): object {
  const ids = Object.entries(EVENTS).map(([type, schema]) => [type, schema.meta()?.id]);
  const events = Object.fromEntries(ids) as Record<EventType, string>;
  return Object.fromEntries(
    routesOf(events).map((route) => {
      const mine = recordings.filter(
        ({ request }) => request.method === route.method && leadsTo(request.path, route.path),
      );
      return [route.path, { [route.method.toLowerCase()]: operation(route, mine, components) }];
    }),
  );
}

type Route = RouteRow & RouteProse & { readonly id: RouteId };

/** Every route of the contract with its prose. */
function routesOf(events: Readonly<Record<EventType, string>>): readonly Route[] {
  const prose = routeProse(events);
  const rows = Object.entries(ROUTES) as [RouteId, RouteRow][];
  return rows.map(([id, route]) => ({ id, ...route, ...prose[id] }));
}

/** True if a path belongs to a route: `/jobs/job-1/events?after=3` belongs to `/jobs/{job_id}/events`. */
function leadsTo(path: string, template: string): boolean {
  return new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`).test(path.replace(/\?.*/, ''));
}

function operation(route: Route, recordings: readonly Recording[], components: Components): object {
  const { tag, id, summary, description, body, open, takes } = route;
  const ids = route.dialect ? ['X-Correlation-Id', 'X-Request-Id'] : ['X-Correlation-Id'];
  return {
    tags: [tag],
    operationId: id,
    summary,
    ...(description && { description }),
    ...(open && { security: [] }),
    parameters: [...ids, ...takes].map((name) => ({ $ref: `#/components/parameters/${name}` })),
    ...(body && { requestBody: requestBody(body, components[body] ?? {}, recordings) }),
    responses: responses(route, recordings),
  };
}

/** The examples are the accepted bodies without unknown fields. */
function requestBody(name: string, schema: Schema, recordings: readonly Recording[]): object {
  const fields = Object.keys(schema['properties'] ?? {});
  const known = ({ request }: Recording): boolean =>
    Object.keys(request.body ?? {}).every((field) => fields.includes(field));
  const good = recordings.filter((recording) => recording.response.status < 300 && known(recording));
  const examples = good.map(({ name, about, request }) => [name, { summary: about, value: request.body }]);
  return {
    required: true,
    content: {
      'application/json': { schema: { $ref: `#/components/schemas/${name}` }, examples: Object.fromEntries(examples) },
    },
  };
}

function responses(route: Route, recordings: readonly Recording[]): object {
  const { requestIds = [] } = route;
  const found = Object.entries(route.answers).map(([status, answer]): [number, Answer] => [
    Number(status),
    { ...answer, headers: [...requestIds, ...(answer.headers ?? [])] },
  ]);
  const errors = new Set(route.errors);
  const { schema = 'ErrorAnswer', statuses = {} } = route.dialect ?? {};
  const statusOf = (code: ErrorCode): number => statuses[code] ?? ERRORS[code].status;
  for (const status of new Set([...errors].map(statusOf))) {
    const codes = [...errors].filter((code) => statusOf(code) === status);
    const { description = '', content = {} }: Partial<Answer> = route.errorForms?.[status] ?? {};
    found.push([
      status,
      {
        description: `${listOf(codes)}${description && `\n\n${description}`}`,
        headers: [
          ...requestIds,
          ...(route.dialect ? ['x-should-retry'] : []),
          ...(route.errorHeaders?.[status] ?? []),
          ...(status === 401 ? ['WWW-Authenticate'] : []),
        ],
        content: { 'application/json': { $ref: `#/components/schemas/${schema}` }, ...content },
      },
    ]);
  }
  const answers = found.sort(([a], [b]) => a - b);
  return Object.fromEntries(answers.map(([status, answer]) => [status, response(status, answer, recordings)]));
}

function response(
  status: number,
  { description, headers = [], content = {}, stream }: Answer,
  recordings: readonly Recording[],
): object {
  const mine = recordings.filter((recording) => recording.response.status === status);
  const load = status === 401 || status === 403 ? [] : LOAD_HEADERS;
  // A route that answers documents too sends these headers with its streams only.
  const only = 'application/json' in content ? 'Stream-' : '';
  const sse = stream ? ['Cache-Control', 'X-Accel-Buffering'].map((name) => `${only}${name}`) : [];
  const wire = stream && mine.find(({ name }) => name === 'execute-stop-string');
  return {
    description: `${description}${stream ? listOf(STREAM_ERROR_CODES) : ''}${wire ? excerpt(wire) : ''}`,
    headers: Object.fromEntries(
      ['X-Correlation-Id', 'traceparent', ...load, ...headers, ...sse].map((component) => [
        component.replace(/^(?:Stream|Failed)-/, ''),
        { $ref: `#/components/headers/${component}` },
      ]),
    ),
    ...(Object.keys(content).length > 0 && { content: contentOf(content, mine) }),
  };
}

function contentOf(content: Content, recordings: readonly Recording[]): object {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => {
      const examples = examplesOf(
        type,
        recordings.filter(({ response: { headers } }) => headers['content-type']?.startsWith(type)),
      );
      return [type, { schema, ...(examples.length > 0 && { examples: Object.fromEntries(examples) }) }];
    }),
  );
}

/** Codes as a list, each with its sentence and its `retry`. */
function listOf(codes: readonly ErrorCode[]): string {
  const lines = codes.map((code) => `- \`${code}\`: ${ERRORS[code].sentence} \`retry\`: \`${ERRORS[code].retry}\`.`);
  return lines.join('\n');
}

function examplesOf(type: string, recordings: readonly Recording[]): Example[] {
  if (type === SSE) return eventExamples(recordings);
  const value = (text: string): unknown => (type === 'application/json' ? JSON.parse(text) : text);
  return recordings.map(({ name, about, response: { body } }) => [name, { summary: about, value: value(body) }]);
}

/** The first event of each form: same name and same keys. Of the narrations only the first. */
function eventExamples(recordings: readonly Recording[]): Example[] {
  const examples = new Map<string, { kind: string; name: string; summary: string; value: object }>();
  for (const recording of recordings) {
    for (const value of eventsOf(recording)) {
      const kind = kindOf(value);
      const form = kind === 'narration' ? kind : Object.keys(value).join();
      if (!examples.has(form)) examples.set(form, { kind, name: recording.name, summary: recording.about, value });
    }
  }
  return [...examples.values()].map(({ kind, name, ...example }) => [`${kind}-in-${name}`, example]);
}

/** The type of an event; of a chunk without one, its object, or `error`. */
const kindOf = ({ type, object }: StreamData): string => String(type ?? object ?? 'error');

/** The data of an event of a stream. */
type StreamData = Readonly<Record<string, unknown>>;

/** The data of every event of a recorded stream, without the end mark of OpenAI's dialect. */
export function eventsOf({ response: { body } }: Recording): StreamData[] {
  const events = messagesIn(body).filter(({ data }) => data !== '[DONE]');
  return events.map(({ data }) => JSON.parse(data) as StreamData);
}

/** The first and the last lines of a stream as they are on the wire. */
function excerpt({ about, response: { body } }: Recording): string {
  const frames = body.trimEnd().split('\n\n');
  const some = [...frames.slice(0, 2), '…', ...frames.slice(-4)];
  return `\n\nOn the wire (${about.toLowerCase()}):\n\n\`\`\`text\n${some.join('\n\n')}\n\`\`\`\n`;
}
