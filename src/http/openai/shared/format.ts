/**
 * The form of the output that a body of OpenAI's dialect demands, in the fields of OpenAI and of other
 * servers.
 */
import { isSchema, SCHEMA_RULE } from '../../../contract/format/fields.ts';
import type { FormatBody, GuidedBody, ResponseFormat, TextFormat } from '../../../contract/openai/format-fields.ts';
import type { DemandedFormat } from '../../../jobs/order.ts';
import { MAX_KEYS, MAX_LEVELS, MAX_VALUES, structureExcess } from '../../body/json-body.ts';
import { invalidField } from '../../dialect/check.ts';
import { onlyFormat, schemaFormat } from '../../dialect/format/demanded-format.ts';
import { refuseField } from './order.ts';

/** The form of a request, and its fields without an effect. */
export interface ReadFormat {
  readonly format: DemandedFormat | undefined;
  readonly ignored: readonly string[];
}

/** The fields of a schema besides the schema itself. */
interface Labels {
  readonly description?: string | undefined;
}

/**
 * The form that a chat or a completion demands.
 * @param given the body before the check
 * @throws WorkerError `INVALID_REQUEST` for two forms, and for a form that the worker cannot enforce
 */
export function formatOf(body: FormatBody, given: object): ReadFormat {
  const { response_format: own } = body;
  const format = onlyFormat([...responseFormat(own), ...guidedFormats(body, given)]);
  const labels = own?.type === 'json_schema' ? own.json_schema : undefined;
  return { format, ignored: ignoredIn(labels, 'response_format.json_schema') };
}

/**
 * The form that a request to `/v1/responses` demands.
 * @param given the body before the check
 * @throws WorkerError `INVALID_REQUEST` as `formatOf`, and for `response_format`
 */
export function textFormatOf(text: TextFormat | undefined, body: GuidedBody, given: object): ReadFormat {
  refuseResponseFormat(given);
  const format = onlyFormat([...textFormat(text), ...guidedFormats(body, given)]);
  return { format, ignored: ignoredIn(text?.type === 'json_schema' ? text : undefined, 'text.format') };
}

const ignoredIn = (labels: Labels | undefined, path: string): readonly string[] =>
  labels?.description === undefined ? [] : [`${path}.description`];

function responseFormat(given: ResponseFormat | undefined): readonly DemandedFormat[] {
  const field = 'response_format';
  switch (given?.type) {
    case 'json_object':
      return [objectFormat(given.schema, field)];
    case 'json_schema': {
      const { json_schema: inner, schema } = given;
      if (schema === undefined) return [schemaFormat(inner?.schema, `${field}.json_schema.schema`)];
      const outer = schemaFormat(schema, `${field}.schema`);
      return inner?.schema === undefined ? [outer] : [schemaFormat(inner.schema, `${field}.json_schema.schema`), outer];
    }
    default:
      return [];
  }
}

function textFormat(given: TextFormat | undefined): readonly DemandedFormat[] {
  const field = 'text.format';
  switch (given?.type) {
    case 'json_object':
      return [objectFormat(given.schema, field)];
    case 'json_schema':
      return [schemaFormat(given.schema, `${field}.schema`)];
    default:
      return [];
  }
}

/** `json_object`, whose schema llama-server reads. */
const objectFormat = (schema: unknown, field: string): DemandedFormat =>
  schema === undefined ? { format: { kind: 'json_object' }, field } : schemaFormat(schema, `${field}.schema`);

/** The forms in the fields of vLLM and llama-server. */
function guidedFormats(body: GuidedBody, given: object): readonly DemandedFormat[] {
  const remedy = 'use a JSON Schema in response_format, guided_regex or guided_choice';
  refuseField(given, 'grammar', remedy);
  refuseField(given, 'guided_grammar', remedy);
  const { structured_outputs: structured = {} } = body;
  for (const name of ['grammar', 'structural_tag'] as const) {
    const field = `structured_outputs.${name}`;
    if (structured[name] !== undefined)
      throw invalidField(field, 'unsupported', `${field} is not supported: use json, regex or choice`);
  }
  const all = [
    ...formatsOf({ json: body.guided_json, regex: body.guided_regex, choice: body.guided_choice }, 'guided_'),
    ...formatsOf(structured, 'structured_outputs.'),
  ];
  if (body.json_schema !== undefined) all.push(schemaFormat(body.json_schema, 'json_schema'));
  return all;
}

type Guided = Pick<NonNullable<GuidedBody['structured_outputs']>, 'json' | 'regex' | 'choice' | 'json_object'>;

/** @param prefix beginning of the names of the fields in the body */
function formatsOf({ json, regex, choice, json_object: object }: Guided, prefix: string): DemandedFormat[] {
  const found: DemandedFormat[] = [];
  if (json !== undefined) found.push(schemaFormat(schemaIn(json, `${prefix}json`), `${prefix}json`));
  if (regex !== undefined) found.push({ format: { kind: 'regex', pattern: regex }, field: `${prefix}regex` });
  if (choice !== undefined) found.push({ format: { kind: 'choice', choices: choice }, field: `${prefix}choice` });
  if (object === true) found.push({ format: { kind: 'json_object' }, field: `${prefix}json_object` });
  return found;
}

/**
 * A schema that may be given as JSON text. The text has the limits of a body.
 * @throws WorkerError `INVALID_REQUEST` for a text that is no schema
 */
function schemaIn(given: unknown, field: string): unknown {
  if (typeof given !== 'string') return given;
  const excess = structureExcess(given);
  if (excess !== undefined) {
    const most = `at most ${MAX_LEVELS} levels, ${MAX_KEYS} keys and ${MAX_VALUES} values`;
    throw invalidField(field, excess, `${field} must be a JSON text with ${most}`);
  }
  const schema = parsed(given);
  if (!isSchema(schema)) throw invalidField(field, 'type', `${field} must be ${SCHEMA_RULE}, or its JSON text`);
  return schema;
}

/**
 * The value of a JSON text; undefined for any other text, and for a text with a key that a body must not
 * have.
 */
function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return hasPrototype(value) ? undefined : value;
  } catch {
    return undefined;
  }
}

const hasPrototype = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (Object.hasOwn(value, '__proto__') || Object.values(value).some(hasPrototype));

/** Refuses a field of chats that would be ignored here, and whose answer a client could not parse. */
function refuseResponseFormat(given: object): void {
  const { response_format: format } = given as { readonly response_format?: unknown };
  const isText = typeof format === 'object' && format !== null && 'type' in format && format.type === 'text';
  if (!isText) refuseField(given, 'response_format', 'use text.format');
}
