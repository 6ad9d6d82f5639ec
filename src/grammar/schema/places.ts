/** The schemas inside of a document: their places, their addresses, and the references between them. Pure. */
import { type Budget, MAX_DEPTH } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import type { Json } from '../output-format.ts';
import { DIALECTS, type Dialect, dialectOf, isWithoutEffect, WITH_LIST, WITH_MAP, WITH_SCHEMA } from './keywords.ts';

export type Path = readonly (string | number)[];
export type SchemaObject = { readonly [name: string]: Json };

/** A schema with an address of its own: the document, or a schema with `$id`. */
interface Resource {
  readonly root: SchemaObject;
  readonly path: Path;
  readonly uri: string;
  readonly dialect: Dialect;
}

/** A schema, or its negation. Equal places are one object. */
export interface Place {
  readonly id: number;
  readonly schema: SchemaObject | boolean;
  readonly path: Path;
  readonly dialect: Dialect;
  readonly negated: boolean;
}

interface Located extends Place {
  readonly resource: Resource | undefined;
}

/** The schema that accepts every value, and the schema that accepts none. */
export const EVERYTHING: Place = constant(0, true);
export const NOTHING: Place = constant(1, false);

function constant(id: number, schema: boolean): Place {
  return { id, schema, path: [], dialect: DIALECTS.modern, negated: false };
}

/** The address of a document without `$id`. */
const NO_ADDRESS = 'https://schema.invalid/';
/** A document cannot be nested deeper than this: a schema level has at most two keys. */
const MAX_PATH = 2 * MAX_DEPTH;

export const isObject = (value: Json | undefined): value is SchemaObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value of a keyword. Names such as `constructor` are no keywords of a schema without them. */
export const keyword = (schema: SchemaObject, name: string): Json | undefined =>
  Object.hasOwn(schema, name) ? schema[name] : undefined;

export class Places {
  readonly root: Place;
  readonly #budget: Budget;
  readonly #ignored: (path: Path) => void;
  readonly #places = new Map<SchemaObject, Located>();
  readonly #negations = new Map<number, Place>();
  readonly #resources = new Map<SchemaObject, Resource>();
  readonly #addresses = new Map<string, Place>();
  #nextId = 2;
  #indexed = false;

  /**
   * @param ignored called with the place of each keyword that has no effect
   * @throws GrammarError if the document is no schema, or of an unknown dialect
   */
  constructor(document: Json, budget: Budget, ignored: (path: Path) => void) {
    this.#budget = budget;
    this.#ignored = ignored;
    this.root = this.#at(document, [], undefined);
  }

  /**
   * The schema at the value of a keyword, or inside of this value.
   * @throws GrammarError `invalid` if there is no schema
   */
  child(place: Place, ...keys: Path): Place {
    let value: Json | undefined = place.schema;
    for (const key of keys) value = memberOf(value, key);
    return this.#at(value, [...place.path, ...keys], this.#resourceOf(place));
  }

  /** The schema that accepts exactly the other values. */
  not(place: Place): Place {
    if (typeof place.schema === 'boolean') return place.schema ? NOTHING : EVERYTHING;
    const known = this.#negations.get(place.id);
    if (known) return known;
    const made: Place = { ...place, id: this.#nextId++, negated: !place.negated };
    this.#negations.set(place.id, made).set(made.id, place);
    return made;
  }

  /**
   * The schema that the `$ref` of a schema names.
   * @throws GrammarError `unsupported` for other documents, `invalid` if there is no schema
   */
  target(place: Place): Place {
    const reference = typeof place.schema === 'boolean' ? undefined : place.schema['$ref'];
    const path = [...place.path, '$ref'];
    if (typeof reference !== 'string') throw new GrammarError('invalid', path, 'must be a string');
    const resource = this.#resourceOf(place);
    const [address, fragment] = this.#parts(reference, resource?.uri ?? NO_ADDRESS, path);
    const home = address === resource?.uri ? resource : this.#resourceAt(address);
    if (!home)
      throw new GrammarError('unsupported', path, 'names another document, which is not read; copy it to $defs');
    if (fragment === '' || fragment.startsWith('/')) return this.#follow(home, fragment, path);
    this.#index();
    const found = this.#addresses.get(`${address}#${fragment}`);
    if (!found) throw new GrammarError('invalid', path, 'names an anchor that does not exist');
    return found;
  }

  #resourceOf(place: Place): Resource | undefined {
    return isObject(place.schema) ? this.#places.get(place.schema)?.resource : undefined;
  }

  #at(value: Json | undefined, path: Path, parent: Resource | undefined): Place {
    if (value === true) return EVERYTHING;
    if (value === false) return NOTHING;
    if (!isObject(value)) {
      const remedy = Array.isArray(value) && path.at(-1) === 'items' ? '; use prefixItems for a list of schemas' : '';
      throw new GrammarError('invalid', path, `must be a schema: an object, true or false${remedy}`);
    }
    const known = this.#places.get(value);
    if (known) return known;
    this.#budget.step();
    if (path.length > MAX_PATH) throw new GrammarError('too_complex', [], `is nested deeper than ${MAX_DEPTH} levels`);
    const resource = this.#resource(value, path, parent);
    const made = { id: this.#nextId++, schema: value, path, dialect: resource.dialect, negated: false, resource };
    this.#places.set(value, made);
    for (const name of Object.keys(value)) {
      this.#budget.step();
      if (isWithoutEffect(name, resource.dialect)) this.#ignored([...path, name]);
    }
    return made;
  }

  /** The resource of a schema: its own with `$id`, otherwise that around it. */
  #resource(schema: SchemaObject, path: Path, parent: Resource | undefined): Resource {
    const known = this.#resources.get(schema);
    if (known) return known;
    const id = keyword(schema, '$id');
    const around = parent?.dialect ?? dialectOf(schema, path);
    const isOwn = typeof id === 'string' && !id.startsWith('#') && (around.siblings || !('$ref' in schema));
    if (parent && !isOwn) return parent;
    const [uri] = isOwn ? this.#parts(id, parent?.uri ?? NO_ADDRESS, [...path, '$id']) : [NO_ADDRESS];
    const dialect = parent && !('$schema' in schema) ? parent.dialect : dialectOf(schema, path);
    const made = { root: schema, path, uri, dialect };
    this.#resources.set(schema, made);
    return made;
  }

  /** An address without its fragment, and the decoded fragment. */
  #parts(reference: string, base: string, path: Path): [address: string, fragment: string] {
    try {
      if (reference.startsWith('#')) return [base, decodeURIComponent(reference.slice(1))];
      const url = new URL(reference, base);
      const fragment = decodeURIComponent(url.hash.slice(1));
      url.hash = '';
      return [url.href, fragment];
    } catch {
      throw new GrammarError('invalid', path, 'must be the address of a schema');
    }
  }

  #resourceAt(address: string): Resource | undefined {
    this.#index();
    const place = this.#addresses.get(`${address}#`);
    return place && this.#resourceOf(place);
  }

  /** Follows a JSON pointer. Rule: RFC 6901. */
  #follow(home: Resource, pointer: string, path: Path): Place {
    let value: Json | undefined = home.root;
    let resource = home;
    const found = [...home.path];
    for (const part of pointer.split('/').slice(1)) {
      this.#budget.step();
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      value = memberOf(value, key);
      if (value === undefined) throw new GrammarError('invalid', path, 'names a place that does not exist');
      found.push(key);
      if (isObject(value)) resource = this.#resource(value, [...found], resource);
    }
    if (typeof value !== 'boolean' && !isObject(value))
      throw new GrammarError('invalid', path, 'names a place that is no schema');
    return this.#at(value, found, resource);
  }

  /** Finds all addresses and anchors of the document. Called when a reference needs them. */
  #index(): void {
    if (this.#indexed) return;
    this.#indexed = true;
    const open = [this.root];
    for (let place = open.pop(); place; place = open.pop()) {
      this.#budget.step();
      if (typeof place.schema === 'boolean') continue;
      this.#note(place, place.schema);
      for (const keys of subschemasOf(place.schema)) {
        const value = keys.reduce<Json | undefined>(memberOf, place.schema);
        if (isObject(value)) open.push(this.child(place, ...keys));
      }
    }
  }

  #note(place: Place, schema: SchemaObject): void {
    const resource = this.#resourceOf(place);
    if (!resource) return;
    const add = (address: string): void => {
      if (!this.#addresses.has(address)) this.#addresses.set(address, place);
    };
    if (resource.root === schema) add(`${resource.uri}#`);
    for (const name of ['$anchor', '$dynamicAnchor']) {
      const anchor = keyword(schema, name);
      if (typeof anchor === 'string') add(`${resource.uri}#${anchor}`);
    }
    const id = keyword(schema, '$id');
    if (typeof id === 'string' && id.startsWith('#')) add(`${resource.uri}${id}`);
  }
}

function memberOf(value: Json | undefined, key: string | number): Json | undefined {
  if (Array.isArray(value)) return /^(?:0|[1-9]\d*)$/.test(String(key)) ? value[Number(key)] : undefined;
  return isObject(value) ? keyword(value, String(key)) : undefined;
}

/** The keys from a schema to the schemas directly inside of it. */
function* subschemasOf(schema: SchemaObject): Generator<Path> {
  for (const [name, value] of Object.entries(schema)) {
    if (WITH_MAP.has(name) && isObject(value)) for (const key of Object.keys(value)) yield [name, key];
    if (WITH_LIST.has(name) && Array.isArray(value)) for (const index of value.keys()) yield [name, index];
    if (WITH_SCHEMA.has(name) && isObject(value)) yield [name];
  }
}
