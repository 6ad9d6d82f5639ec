/**
 * Builds the OpenAPI 3.1 document: schemas from zod, error codes from the error table, routes from the
 * route table and their prose from openapi-routes.mjs, examples from test/recordings. Nothing is typed a second time.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { ERRORS, STREAM_ERROR_CODES } from '../dist/contract/errors.js';
import { EVENTS } from '../dist/contract/events.js';
import '../dist/contract/answers.js';
import '../dist/contract/execute.js';
import { ROUTES } from '../dist/contract/routes.js';
import { ABOUT, HEADERS_OUT, PARAMETERS, routeProse, TAGS } from './openapi-routes.mjs';

const ROOT = new URL('../', import.meta.url);
const RECORDINGS = new URL('test/recordings/', ROOT);
const SSE = 'text/event-stream';

/** The whole document as an object. */
export function openapi() {
  const { version } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8'));
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
    servers: [{ url: 'http://127.0.0.1:8080', description: 'Where a worker listens by default' }],
    security: [{ bearer: [] }],
    tags: TAGS,
    paths: pathsOf(recordings, components),
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'The `--api-token` of the worker; without one, none is asked for.',
        },
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
export function readRecordings() {
  const files = readdirSync(RECORDINGS).filter((name) => name.endsWith('.json'));
  return files.sort().map((name) => JSON.parse(readFileSync(new URL(name, RECORDINGS), 'utf8')));
}

function schemas() {
  const { schemas: all } = z.toJSONSchema(z.globalRegistry, {
    io: 'input',
    uri: (id) => `#/components/schemas/${id}`,
    override: dropNoise,
  });
  return Object.fromEntries(Object.entries(all).map(([id, { $schema, $id, ...schema }]) => [id, tidy(schema)]));
}

/** What zod adds but nobody asked for: the bounds of safe integers, the pattern of a date, the type of a record's keys. */
function dropNoise({ zodSchema, jsonSchema }) {
  const { type, checks = [] } = zodSchema._zod.def;
  const asked = (name) => checks.some((check) => check._zod.def.check === name);
  if (type === 'number' && !asked('less_than')) delete jsonSchema.maximum;
  if (type === 'number' && !asked('greater_than') && jsonSchema.minimum !== undefined) delete jsonSchema.minimum;
  if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  if (type === 'record') delete jsonSchema.propertyNames;
}

/** The same schema with `type` and `description` first, as people read it. */
function tidy(node) {
  if (Array.isArray(node)) return node.map(tidy);
  if (typeof node !== 'object' || node === null) return node;
  const { type, description, properties, ...rest } = node;
  return {
    ...(type !== undefined && { type: tidy(type) }),
    ...(description !== undefined && { description: tidy(description) }),
    ...Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, tidy(value)])),
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, tidy(schema)])),
    }),
  };
}

function pathsOf(recordings, components) {
  const events = Object.fromEntries(Object.entries(EVENTS).map(([type, schema]) => [type, schema.meta().id]));
  return Object.fromEntries(
    routesOf(events).map((route) => {
      const mine = recordings.filter(
        ({ request }) => request.method === route.method && leadsTo(request.path, route.path),
      );
      return [route.path, { [route.method.toLowerCase()]: operation(route, mine, components) }];
    }),
  );
}

/** Every route of the contract with its prose. */
function routesOf(events) {
  const prose = routeProse(events);
  return Object.entries(ROUTES).map(([id, route]) => ({ id, ...route, ...prose[id] }));
}

/** Whether a path is one of a route's: `/jobs/job-1/events?after=3` is one of `/jobs/{job_id}/events`. */
function leadsTo(path, template) {
  return new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`).test(path.replace(/\?.*/, ''));
}

function operation(route, recordings, components) {
  const { tag, id, summary, description, body, open, takes } = route;
  return {
    tags: [tag],
    operationId: id,
    summary,
    ...(description && { description }),
    ...(open && { security: [] }),
    parameters: ['X-Correlation-Id', ...takes].map((name) => ({ $ref: `#/components/parameters/${name}` })),
    ...(body && { requestBody: requestBody(body, components[body], recordings) }),
    responses: responses(route, recordings),
  };
}

/** The examples are bodies that were accepted, without those that show what happens to unknown fields. */
function requestBody(name, schema, recordings) {
  const known = ({ request }) => Object.keys(request.body).every((field) => field in schema.properties);
  const good = recordings.filter((recording) => recording.response.status < 300 && known(recording));
  const examples = good.map(({ name, about, request }) => [name, { summary: about, value: request.body }]);
  return {
    required: true,
    content: {
      'application/json': { schema: { $ref: `#/components/schemas/${name}` }, examples: Object.fromEntries(examples) },
    },
  };
}

function responses(route, recordings) {
  const found = Object.entries(route.answers).map(([status, answer]) => [status, { ...answer }]);
  const errors = new Set(route.errors);
  for (const status of new Set([...errors].map((code) => rowOf(code).status))) {
    const codes = [...errors].filter((code) => rowOf(code).status === status);
    const { description = '', content = {} } = route.errorForms?.[status] ?? {};
    found.push([
      status,
      {
        description: `${listOf(codes)}${description && `\n\n${description}`}`,
        headers: [...(route.errorHeaders?.[status] ?? []), ...(status === 401 ? ['WWW-Authenticate'] : [])],
        content: { 'application/json': { $ref: '#/components/schemas/ErrorAnswer' }, ...content },
      },
    ]);
  }
  const answers = found.sort(([a], [b]) => a - b);
  return Object.fromEntries(answers.map(([status, answer]) => [status, response(Number(status), answer, recordings)]));
}

function response(status, { description, headers = [], content = {}, stream }, recordings) {
  const mine = recordings.filter((recording) => recording.response.status === status);
  const sse = stream ? ['Cache-Control', 'X-Accel-Buffering'] : [];
  const wire = stream && mine.find(({ name }) => name === 'execute-stop-string');
  return {
    description: `${description}${stream ? listOf(STREAM_ERROR_CODES) : ''}${wire ? excerpt(wire) : ''}`,
    headers: Object.fromEntries(
      ['X-Correlation-Id', 'traceparent', ...headers, ...sse].map((name) => [
        name,
        { $ref: `#/components/headers/${name}` },
      ]),
    ),
    ...(Object.keys(content).length > 0 && { content: contentOf(content, mine) }),
  };
}

function contentOf(content, recordings) {
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

function rowOf(code) {
  if (!ERRORS[code]) throw new Error(`${code} is not in the table of errors`);
  return ERRORS[code];
}

/** Codes as a list: each with its sentence, and whether trying again can help. */
function listOf(codes) {
  const lines = codes.map(
    (code) => `- \`${code}\`: ${rowOf(code).sentence}${rowOf(code).retriable ? ' Retriable.' : ''}`,
  );
  return lines.join('\n');
}

function examplesOf(type, recordings) {
  if (type === SSE) return eventExamples(recordings);
  const value = (text) => (type === 'application/json' ? JSON.parse(text) : text);
  return recordings.map(({ name, about, response: { body } }) => [name, { summary: about, value: value(body) }]);
}

/** The first event of each form: same name and same keys. Of all narrations only the very first. */
function eventExamples(recordings) {
  const examples = new Map();
  for (const recording of recordings) {
    for (const value of eventsOf(recording)) {
      const form = value.type === 'narration' ? value.type : Object.keys(value).join();
      if (!examples.has(form)) examples.set(form, { name: recording.name, summary: recording.about, value });
    }
  }
  return [...examples.values()].map(({ name, ...example }) => [`${example.value.type}-in-${name}`, example]);
}

/** The data of every event of a recorded stream. */
export function eventsOf({ response: { body } }) {
  const lines = body.split('\n').filter((line) => line.startsWith('data: '));
  return lines.map((line) => JSON.parse(line.slice('data: '.length)));
}

/** The first and the last lines of a stream as they are on the wire. */
function excerpt({ about, response: { body } }) {
  const frames = body.trimEnd().split('\n\n');
  const some = [...frames.slice(0, 2), '…', ...frames.slice(-4)];
  return `\n\nOn the wire (${about.toLowerCase()}):\n\n\`\`\`text\n${some.join('\n\n')}\n\`\`\`\n`;
}
