/**
 * Compares exchanges with openapi.yaml only. A field that a schema does not name is a problem, too.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parse } from 'yaml';

type Json = Record<string, unknown>;
export interface Media {
  readonly schema: Json;
  readonly examples?: Record<string, { readonly value: unknown }>;
}
interface Header {
  readonly required?: boolean;
  readonly schema: Json;
}
export interface Answer {
  readonly description: string;
  readonly headers: Record<string, { readonly $ref: string }>;
  readonly content?: Record<string, Media>;
}
export interface Operation {
  readonly security?: readonly Json[];
  readonly requestBody?: { readonly content: Record<string, Media> };
  readonly responses: Record<string, Answer>;
}
interface Document {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly webhooks: Record<string, Record<string, Pick<Operation, 'requestBody' | 'security'>>>;
  readonly components: { readonly headers: Record<string, Header>; readonly schemas: Record<string, Json> };
}

const ROOT = new URL('../../', import.meta.url);
export const SOURCE = readFileSync(new URL('openapi.yaml', ROOT), 'utf8');
export const DOCUMENT = parse(SOURCE) as Document;

/** A request and its complete answer. Names of headers are in lower case. */
export interface Exchange {
  readonly request: { readonly method: string; readonly path: string; readonly body?: unknown };
  readonly response: { readonly status: number; readonly headers: Record<string, string>; readonly body: string };
}
export type Recording = Exchange & { readonly name: string; readonly log: readonly Json[] };

/** Every exchange in test/recordings. */
export function recordings(): Recording[] {
  const folder = new URL('test/recordings/', ROOT);
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return files.map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Recording);
}

/** Every operation, with its method in upper case. */
export function operations(): { method: string; path: string; operation: Operation }[] {
  return Object.entries(DOCUMENT.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

/** The path of the document that matches a request's path; undefined if there is none. */
export function templateOf(path: string): string | undefined {
  const bare = path.replace(/\?.*/, '');
  const fits = (template: string): boolean => new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`).test(bare);
  return Object.keys(DOCUMENT.paths).find(fits);
}

/** The document's entry for an answer; undefined if there is none. */
export function answerFor({ request, response }: Exchange): Answer | undefined {
  return DOCUMENT.paths[templateOf(request.path) ?? '']?.[request.method.toLowerCase()]?.responses[response.status];
}

/** Closes every object that names its fields. Requests stay open: the worker ignores unknown fields. */
function closed(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closed);
  if (typeof node !== 'object' || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]));
  return 'properties' in copy && copy['type'] === 'object' ? { additionalProperties: false, ...copy } : copy;
}

/** The schema with its references in the form of the validator. */
const linked = (schema: Json): Json =>
  JSON.parse(JSON.stringify(schema).replaceAll('#/components/schemas/', 'contract:/')) as Json;

const validator = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });
(formats as unknown as (ajv: Ajv2020) => void)(validator);
validator.addVocabulary(['discriminator']);
for (const [name, schema] of Object.entries(DOCUMENT.components.schemas)) {
  const own = name.endsWith('Request') ? schema : (closed(schema) as Json);
  validator.addSchema({ ...linked(own), $id: `contract:/${name}` });
}

const compiled = new Map<string, ValidateFunction>();

/** The problems of `value` under a schema of the document. */
export function schemaProblems(schema: Json, value: unknown): string[] {
  const text = JSON.stringify(schema);
  const validate = compiled.get(text) ?? validator.compile(linked(schema));
  compiled.set(text, validate);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

/** Headers that an answer has only if the contract lists them. */
const LISTED = ['x-job-id', 'x-run-id', 'retry-after', 'x-should-retry'];

/** The problems of an answer's headers: one is not listed, a required one is absent, or a value is not allowed. */
export function headerProblems(answer: Answer, headers: Record<string, string>): string[] {
  const listed = Object.keys(answer.headers).map((name) => name.toLowerCase());
  const unlisted = Object.keys(headers).filter((name) => LISTED.includes(name) && !listed.includes(name));
  return [...unlisted.map((name) => `the header ${name} is not listed`), ...listedProblems(answer, headers)];
}

function listedProblems(answer: Answer, headers: Record<string, string>): string[] {
  return Object.entries(answer.headers).flatMap(([name, { $ref }]) => {
    const header = DOCUMENT.components.headers[$ref.split('/').at(-1) ?? ''];
    if (!header) return [`${$ref} does not exist`];
    const given = headers[name.toLowerCase()];
    if (given === undefined) return header.required ? [`the header ${name} is missing`] : [];
    const value = header.schema['type'] === 'integer' ? Number(given) : given;
    return schemaProblems(header.schema, value).map((problem) => `${name}:${problem}`);
  });
}
