/** Names of the parts of a body of the Messages API that have no effect, for a narration. Pure. */
import {
  BLOCK_TYPES,
  type MessagesRequest,
  NESTED_FIELDS,
  RESULT_TYPES,
  WITHOUT_EFFECT,
} from '../../contract/anthropic/request.ts';
import { shownText } from '../validate.ts';

/** Most unknown fields and types inside of messages and tools that a narration names. */
export const MAX_NESTED_NAMES = 32;

/**
 * Names of the known fields that have no effect on a request, and of the unknown fields and types inside of
 * its messages and tools. Each name occurs once, without indices.
 * @param given the body before the check, which drops unknown fields
 * @param model name of the loaded model
 */
export function ignoredIn(body: MessagesRequest, given: unknown, model: string): string[] {
  const { names, hasCacheControl } = nestedIn(given);
  return [
    ...(body.model !== undefined && body.model !== model ? ['model'] : []),
    ...WITHOUT_EFFECT.filter((name) => body[name] !== undefined),
    ...(body.thinking?.budget_tokens === undefined ? [] : ['thinking.budget_tokens']),
    ...(body.thinking?.display === undefined ? [] : ['thinking.display']),
    ...(hasCacheControl ? ['cache_control'] : []),
    ...names,
  ];
}

/** Collects the names of one body. */
class Nested {
  readonly names = new Set<string>();
  /** A block or a tool has `cache_control`: it is reported once, and not for each block. */
  hasCacheControl = false;

  /** Notes the fields of an object that the schema does not have. */
  fields(object: Fields, known: ReadonlySet<string>, path: string): void {
    if (isGiven(object['cache_control'])) this.hasCacheControl = true;
    for (const [name, value] of Object.entries(object))
      if (isGiven(value) && !known.has(name) && name !== 'cache_control') this.#add(`${path}.${shownText(name)}`);
  }

  /** The objects of a list whose types the worker reads. Notes the other types. */
  ofTypes(list: unknown, types: ReadonlySet<string>, path: string): readonly Fields[] {
    return objectsIn(list).filter(({ type }) => {
      const isRead = typeof type === 'string' && types.has(type);
      if (!isRead) this.#add(`${path} (${shownText(String(type))})`);
      return isRead;
    });
  }

  #add(name: string): void {
    if (this.names.size < MAX_NESTED_NAMES) this.names.add(name);
  }
}

function nestedIn(given: unknown): Nested {
  const nested = new Nested();
  const { system, messages, tools } = fieldsOf(given);
  for (const block of objectsIn(system)) nested.fields(block, NESTED_FIELDS.system, 'system[]');
  for (const message of objectsIn(messages)) {
    nested.fields(message, NESTED_FIELDS.message, 'messages[]');
    for (const block of nested.ofTypes(message['content'], BLOCK_TYPES, BLOCKS)) blockIn(block, nested);
  }
  // The order names the tools of other types, with their indices.
  for (const tool of objectsIn(tools))
    if ((tool['type'] ?? 'custom') === 'custom') nested.fields(tool, NESTED_FIELDS.tool, 'tools[]');
  return nested;
}

/** Path of all blocks of messages. */
const BLOCKS = 'messages[].content[]';

function blockIn(block: Fields, nested: Nested): void {
  nested.fields(block, NESTED_FIELDS.block, BLOCKS);
  const path = `${BLOCKS}.content[]`;
  for (const part of nested.ofTypes(block['content'], RESULT_TYPES, path))
    nested.fields(part, NESTED_FIELDS.system, path);
}

type Fields = Readonly<Record<string, unknown>>;
const isGiven = (value: unknown): boolean => value !== undefined && value !== null;
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const objectsIn = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : []);
