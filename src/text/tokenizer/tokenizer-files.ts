/**
 * Reads the two files of a tokenizer.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../protocol/error-message.ts';
import { MAX_TOKENIZER_BYTES, parseJson } from '../../protocol/json-text.ts';
import { type Definition, definitionFields } from './definition.ts';

/** Paths of a tokenizer's files. */
export interface TokenizerFiles {
  readonly tokenizerFile: string;
  /** If absent, no further special tokens are known. */
  readonly tokenizerConfigFile?: string;
}

const fields = z.looseObject({});
const names = z.array(z.unknown()).nullish();

/**
 * Reads tokenizer.json.
 * @throws Error that names the file: it cannot be read, or is not a tokenizer.
 */
export async function readDefinition({ tokenizerFile }: TokenizerFiles): Promise<Definition> {
  const read = await readFields(tokenizerFile);
  return naming(tokenizerFile, () => definitionFields.parse(read));
}

/**
 * Further special tokens of tokenizer_config.json.
 * @throws Error that names the file: it cannot be read.
 */
export async function readSpecialTokens({ tokenizerConfigFile }: TokenizerFiles): Promise<readonly string[]> {
  if (tokenizerConfigFile === undefined) return [];
  const config = await readFields(tokenizerConfigFile);
  const special = names.safeParse(config['additional_special_tokens']).data ?? [];
  return special.filter((token) => typeof token === 'string');
}

/** Runs a function. Its errors get the name of the file. */
export function naming<T>(file: string, run: () => T): T {
  try {
    return run();
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
