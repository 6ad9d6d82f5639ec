/** The types that the schema of a tool allows for an argument. Pure. */
import type { FunctionTool, Json } from '../../template/conversation.ts';
import { isJsonObject, type JsonObject } from '../json-object.ts';

/** Levels of a schema, and references, that are followed for the types of a value. */
export const MAX_SCHEMA_LEVELS = 8;
/** Schemas that are read for the types of one value: references in lists multiply at each level. */
export const MAX_SCHEMAS = 1_000;

/** The types of an argument whose schema has none: each value of JSON, and any other text as a text. */
export const ANY_TYPE: ReadonlySet<string> = new Set(['string', 'number', 'boolean', 'null', 'object', 'array']);

type Types = ReadonlySet<string> | undefined;
const remembered = new WeakMap<FunctionTool, Map<string, Types>>();

/** The types that a tool allows for an argument; undefined: a text only, also for an unknown argument. */
export function typesOf(tool: FunctionTool, key: string): Types {
  const properties = tool.parameters?.['properties'];
  if (!isJsonObject(properties) || !Object.hasOwn(properties, key)) return undefined;
  const known = remembered.get(tool) ?? new Map<string, Types>();
  if (!known.has(key)) {
    known.set(key, collected(properties[key], tool.parameters));
    remembered.set(tool, known);
  }
  return known.get(key);
}

function collected(schema: Json | undefined, root: Json | undefined): Types {
  const types = new Set<string>();
  const found = new Collector(root, types).add(schema, MAX_SCHEMA_LEVELS);
  if (!found || types.size === 0) return ANY_TYPE;
  return [...types].some((type) => type !== 'string') ? types : undefined;
}

class Collector {
  readonly #root: Json | undefined;
  readonly #types: Set<string>;
  #left = MAX_SCHEMAS;

  constructor(root: Json | undefined, types: Set<string>) {
    this.#root = root;
    this.#types = types;
  }

  /** Adds the types of a schema. False if a part of it allows any type. */
  add(schema: Json | undefined, levels: number): boolean {
    this.#left -= 1;
    if (!isJsonObject(schema) || levels === 0 || this.#left < 0) return false;
    const { type, anyOf, oneOf, allOf, $ref: reference } = schema;
    const named = [type].flat().filter((one) => typeof one === 'string');
    if (named.length > 0) {
      for (const one of named) this.#types.add(one);
      return true;
    }
    if (typeof reference === 'string') return this.add(resolved(this.#root, reference), levels - 1);
    const choices = [anyOf, oneOf].find((list) => Array.isArray(list) && list.length > 0);
    // One of any type is enough for any type.
    if (Array.isArray(choices)) return choices.every((one: Json) => this.add(one, levels - 1));
    // All schemas of the list hold: one with types is enough.
    if (Array.isArray(allOf))
      return allOf.map((one: Json) => this.#left > 0 && this.add(one, levels - 1)).some(Boolean);
    return this.#addValues(schema);
  }

  /** Adds the types of the values, or of the keywords, of a schema without `type`. */
  #addValues({ enum: list, const: constant, properties, items }: JsonObject): boolean {
    const values: readonly (Json | undefined)[] = Array.isArray(list) ? list : [constant];
    for (const value of values) if (value !== undefined) this.#types.add(typeOf(value));
    if (properties !== undefined) this.#types.add('object');
    if (items !== undefined) this.#types.add('array');
    return values.some((value) => value !== undefined) || properties !== undefined || items !== undefined;
  }
}

function typeOf(value: Json): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** The schema that a local reference, such as `#/$defs/Place`, names; undefined for any other reference. */
function resolved(root: Json | undefined, reference: string): Json | undefined {
  const [, list = '', name = ''] = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(reference) ?? [];
  const schemas = isJsonObject(root) && Object.hasOwn(root, list) ? root[list] : undefined;
  const key = name.replaceAll('~1', '/').replaceAll('~0', '~');
  return isJsonObject(schemas) && Object.hasOwn(schemas, key) ? schemas[key] : undefined;
}
