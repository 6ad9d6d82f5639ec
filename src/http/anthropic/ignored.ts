/** Names of the parts of a body of the Messages API that have no effect, for a narration. Pure. */
import type { MessagesRequest } from '../../contract/anthropic/request.ts';
import { shownText } from '../validate.ts';

/** Most unknown fields and types inside of messages and tools that a narration names. */
export const MAX_NESTED_NAMES = 32;

/** Fields of a body that are accepted and have no effect. */
const WITHOUT_EFFECT = ['metadata', 'service_tier'] as const;

/** An object inside of a body, or each object of a list. The field `type` is always known. */
interface Shape {
  /** Names of the fields that the worker reads. */
  readonly fields?: readonly string[];
  /** The same for objects with types. An object of any other type is skipped, and its type is named. */
  readonly types?: Readonly<Record<string, readonly string[]>>;
  /** Objects in the fields of the object. */
  readonly inside?: Readonly<Record<string, Shape>>;
}

const FORMAT: Shape = { types: { text: [], json_schema: ['schema'] } };
const BLOCK: Shape = {
  types: {
    text: ['text'],
    tool_use: ['id', 'name', 'input'],
    tool_result: ['tool_use_id', 'content', 'is_error'],
    // An answer has an empty signature, which clients send back.
    thinking: ['thinking', 'signature'],
  },
  inside: { content: { types: { text: ['text'] } } },
};
const BODY: Shape = {
  inside: {
    thinking: { fields: [] },
    tool_choice: {
      types: {
        auto: ['disable_parallel_tool_use'],
        any: ['disable_parallel_tool_use'],
        tool: ['name', 'disable_parallel_tool_use'],
        none: [],
      },
    },
    output_config: { fields: ['effort', 'format'], inside: { format: FORMAT } },
    output_format: FORMAT,
    system: { fields: ['text'] },
    messages: { fields: ['role', 'content'], inside: { content: BLOCK } },
    tools: { fields: ['name', 'description', 'input_schema', 'strict'] },
  },
};

/**
 * Names of the known fields that have no effect on a request, and of the unknown fields and types inside of
 * its objects. Each name occurs once, without indices.
 * @param given the body before the check, which drops unknown fields
 * @param model name of the loaded model
 */
export function ignoredIn(body: MessagesRequest, given: unknown, model: string): string[] {
  const nested = new Nested();
  // The order names the tools of other types, with their indices.
  const tools = listOf(fieldsOf(given)['tools']).filter((tool) => (fieldsOf(tool)['type'] ?? 'custom') === 'custom');
  nested.inside({ ...fieldsOf(given), tools }, BODY, '');
  return [
    ...(body.model !== undefined && body.model !== model ? ['model'] : []),
    ...WITHOUT_EFFECT.filter((name) => body[name] !== undefined),
    ...(nested.hasCacheControl ? ['cache_control'] : []),
    ...nested.names,
  ];
}

/** Collects the names of one body. */
class Nested {
  readonly names = new Set<string>();
  /** A block or a tool has `cache_control`: it is reported once, and not for each block. */
  hasCacheControl = false;

  /** Notes the names inside of the fields of an object. */
  inside(object: Fields, { inside = {} }: Shape, path: string): void {
    for (const [name, shape] of Object.entries(inside)) this.#value(object[name], shape, path + name);
  }

  #value(value: unknown, shape: Shape, path: string): void {
    if (Array.isArray(value)) for (const one of value) this.#object(fieldsOf(one), shape, `${path}[]`);
    else this.#object(fieldsOf(value), shape, path);
  }

  #object(object: Fields, shape: Shape, path: string): void {
    const { fields = [], types } = shape;
    const type = String(object['type']);
    if (types && isGiven(object['type']) && !Object.hasOwn(types, type)) {
      this.#add(`${path} (${shownText(type)})`);
      return;
    }
    const known = types?.[type] ?? fields;
    for (const [name, value] of Object.entries(object)) {
      if (!isGiven(value) || name === 'type' || known.includes(name)) continue;
      if (name === 'cache_control') this.hasCacheControl = true;
      else this.#add(`${path}.${shownText(name)}`);
    }
    this.inside(object, shape, `${path}.`);
  }

  #add(name: string): void {
    if (this.names.size < MAX_NESTED_NAMES) this.names.add(name);
  }
}

type Fields = Readonly<Record<string, unknown>>;
const isGiven = (value: unknown): boolean => value !== undefined && value !== null;
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
