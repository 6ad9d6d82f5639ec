/**
 * Reads the file of a tokenizer.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import type { Steps } from '../../protocol/start/slices.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { MAX_TOKENIZER_BYTES, parseJson } from '../../protocol/text/json-text.ts';
import type { AddedToken } from './added-tokens.ts';
import { type Definition, definitionFields, withAddedTokens } from './definition.ts';

/** The fields of a tokenizer.json, or its text in UTF-8 in memory that threads share. */
export type TokenizerContent = Readonly<Record<string, unknown>> | SharedArrayBuffer;

/** The file of a tokenizer. */
export interface TokenizerFiles {
  /** Path of tokenizer.json, or of the GGUF file that has the tokenizer in its metadata. */
  readonly tokenizerFile: string;
  /** The content of tokenizer.json if the file is another one. */
  readonly content?: TokenizerContent;
}

/** Elements of a list that are written at once. */
const STEP_ELEMENTS = 1024;

/** The text of a tokenizer.json in memory that threads share. */
export function* sharedContent(fields: Readonly<Record<string, unknown>>): Steps<SharedArrayBuffer> {
  // Texts, and not buffers: the C library would keep the memory of small buffers.
  const parts: string[] = [];
  let size = 0;
  for (const part of jsonParts(fields)) {
    parts.push(part);
    size += Buffer.byteLength(part);
    yield;
  }
  const shared = new SharedArrayBuffer(size);
  const bytes = Buffer.from(shared);
  let at = 0;
  for (const part of parts) {
    at += bytes.write(part, at);
    yield;
  }
  return shared;
}

/** JSON in parts: a vocabulary of 256 000 tokens takes longer than the event loop may wait. */
function* jsonParts(value: unknown): Generator<string> {
  if (Array.isArray(value)) yield* listParts(value, '[]', (element) => JSON.stringify(element));
  else if (value instanceof Map) yield* listParts(value, '{}', (entry) => fieldText(entry));
  else if (typeof value === 'object' && value !== null) {
    let before = '{';
    for (const [key, field] of Object.entries(value)) {
      if (field === undefined) continue;
      yield `${before}${JSON.stringify(key)}:`;
      yield* jsonParts(field);
      before = ',';
    }
    yield before === '{' ? '{}' : '}';
  } else yield JSON.stringify(value);
}

const fieldText = ([key, value]: readonly unknown[]): string => `${JSON.stringify(key)}:${JSON.stringify(value)}`;

function* listParts<T>(list: Iterable<T>, [open, close]: string, textOf: (element: T) => string): Generator<string> {
  let before = open ?? '';
  let texts: string[] = [];
  for (const element of list) {
    if (texts.push(textOf(element)) < STEP_ELEMENTS) continue;
    yield `${before}${texts.join()}`;
    before = ',';
    texts = [];
  }
  yield `${texts.length > 0 || before !== ',' ? before : ''}${texts.join()}${close ?? ''}`;
}

const fields = z.looseObject({});

/**
 * Reads tokenizer.json.
 * @param added the tokens that other files of the model add or state with other flags
 * @throws Error that names the file: it cannot be read, or is not a tokenizer.
 */
export async function readDefinition(
  { tokenizerFile, content }: TokenizerFiles,
  added: readonly AddedToken[] = [],
): Promise<Definition> {
  const read = content === undefined ? await readFields(tokenizerFile) : fieldsOf(content);
  return await naming(tokenizerFile, () => withAddedTokens(definitionFields.parse(read), added));
}

const fieldsOf = (content: TokenizerContent): unknown =>
  content instanceof SharedArrayBuffer ? JSON.parse(Buffer.from(content).toString()) : content;

/** Runs a function. Its errors get the name of the file. */
export async function naming<T>(file: string, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw broken(file, cause);
  }
}

async function readFields(file: string): Promise<Record<string, unknown>> {
  try {
    const { size } = await stat(file);
    if (size > MAX_TOKENIZER_BYTES) throw new Error(`it has ${size} bytes; at most ${MAX_TOKENIZER_BYTES} are allowed`);
    return fields.parse(parseJson(await readFile(file, 'utf8')));
  } catch (cause) {
    throw broken(file, cause);
  }
}

function broken(file: string, cause: unknown): Error {
  const reason = cause instanceof z.ZodError ? z.prettifyError(cause).replaceAll(/\s+/g, ' ') : undefined;
  const message = reason ?? messageOf(cause);
  return new Error(`${basename(file)} cannot be used: ${message}`, { cause });
}
