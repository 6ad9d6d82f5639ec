/**
 * The only body parser: JSON of bounded structure, and without names that could pollute a prototype.
 */
import type { IncomingMessage } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { WorkerError } from '../../contract/errors.ts';
import { checkBodyHead } from './body-head.ts';
import { textOf } from './body-text.ts';
import { codingOf } from './coding.ts';
import { readBody } from './read-body.ts';

/**
 * Limits of the structure of a body, all of which `structureExcess` counts in one pass before the body is
 * parsed. The body of an agent has the schemas of some 30 tools and some 500 messages with their calls: some
 * 4 000 keys, and 15 000 levels of its keys together.
 */
export const MAX_LEVELS = 32;
/**
 * Keys of all objects together. Parsing objects of 8 192 keys took 3 ms for messages, 15 ms for the deepest
 * nesting.
 */
export const MAX_KEYS = 8192;
/** Sum of the levels of all keys. */
export const MAX_KEY_LEVELS = 32_768;
/** Values of all lists and objects together. 229 000 numbers in a list took 26 ms. */
export const MAX_VALUES = 65_536;

/** Short name and sentence of each rule. */
const LIMITS = {
  depth: `body must not be nested deeper than ${MAX_LEVELS} levels`,
  keys: `body must have at most ${MAX_KEYS} keys in all its objects together; remove the unknown fields`,
  key_depth: `the levels of all keys of the body must add up to at most ${MAX_KEY_LEVELS}; remove nested fields`,
  values: `body must have at most ${MAX_VALUES} values in all its lists and objects; send shorter lists`,
  prototype: 'body must not have a key __proto__, or a key prototype inside of constructor; rename the key',
} as const;

/**
 * Replaces Fastify's body parsers with one for JSON, which may be compressed. Accepts an empty body: the
 * route decides if a body is required.
 */
export function acceptJsonOnly(app: FastifyInstance): void {
  const parse = promisify(app.getDefaultJsonParser('error', 'error'));
  app.removeAllContentTypeParsers();
  app.addHook('preParsing', checkBodyHead);
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) => {
    const coding = codingOf(request.headers['content-encoding']);
    const { bodyLimit: limit } = request.routeOptions;
    const bytes = await readBody(payload, { coding: coding === 'unknown' ? undefined : coding, limit });
    const text = textOf(bytes);
    if (text === '') return undefined;
    const excess = structureExcess(text);
    if (excess !== undefined) throw refusal(excess);
    try {
      return await parse(request, text);
    } catch (error) {
      throw await refusalOf(error, text);
    }
  });
}

/**
 * The error for a text that the parser refuses. Its error is the same for text that is not JSON and for JSON
 * with the name of a prototype. The text is read again in a turn of the event loop of its own.
 */
async function refusalOf(error: unknown, text: string): Promise<unknown> {
  await nextTurn();
  try {
    JSON.parse(text);
  } catch {
    return error;
  }
  return refusal('prototype');
}

function refusal(constraint: keyof typeof LIMITS): WorkerError {
  const message = LIMITS[constraint];
  return new WorkerError('INVALID_REQUEST', message, { violations: [{ field: 'body', constraint, message }] });
}

const QUOTE = 0x22; // "
const COMMA = 0x2c; // ,
const COLON = 0x3a; // :
const LIST = 0x5b; // [
const BACKSLASH = 0x5c; // \
const END_OF_LIST = 0x5d; // ]
const OBJECT = 0x7b; // {
const END_OF_OBJECT = 0x7d; // }

/**
 * The first limit that a text exceeds, or undefined. One linear pass over all characters that stops at the
 * first excess; it skips strings, and does not check that the text is JSON. Outside of strings each colon
 * belongs to a key, and each value but the outermost one follows a comma or an opening bracket.
 */
export function structureExcess(text: string): keyof typeof LIMITS | undefined {
  let depth = 0;
  let keys = 0;
  let keyLevels = 0;
  let values = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case COLON:
        keys += 1;
        keyLevels += depth;
        if (keys > MAX_KEYS) return 'keys';
        if (keyLevels > MAX_KEY_LEVELS) return 'key_depth';
        break;
      case LIST:
      case OBJECT:
        depth += 1;
        if (depth > MAX_LEVELS) return 'depth';
        values += 1;
        break;
      case END_OF_LIST:
      case END_OF_OBJECT:
        depth -= 1;
        break;
      case COMMA:
        values += 1;
        break;
    }
    if (values > MAX_VALUES) return 'values';
  }
  return undefined;
}

/** Index of the quote that ends the string which begins at `start`, or of the end of the text. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    at += code === BACKSLASH ? 2 : 1;
  }
  return text.length;
}
