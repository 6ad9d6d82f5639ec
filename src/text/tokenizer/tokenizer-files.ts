/**
 * Reads the two files of a tokenizer and builds its pipeline.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../protocol/error-message.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { Pipeline } from './pipeline.ts';

/** Paths of a tokenizer's files. */
export interface TokenizerFiles {
  readonly tokenizerFile: string;
  /** If absent, no further special tokens are known. */
  readonly tokenizerConfigFile?: string;
}

const fields = z.looseObject({});
const names = z.array(z.unknown()).nullish();

/**
 * Reads both files.
 * @throws Error that names the file: it cannot be read, or it has an unsupported part.
 */
export async function openPipeline(files: TokenizerFiles): Promise<Pipeline> {
  const [tokenizer, config] = await Promise.all([
    readFields(files.tokenizerFile),
    files.tokenizerConfigFile === undefined ? fields.parse({}) : readFields(files.tokenizerConfigFile),
  ]);
  const special = names.safeParse(config['additional_special_tokens']).data ?? [];
  try {
    return new Pipeline(
      tokenizer,
      special.filter((token) => typeof token === 'string'),
    );
  } catch (cause) {
    throw broken(files.tokenizerFile, cause);
  }
}

async function readFields(file: string): Promise<Record<string, unknown>> {
  try {
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
