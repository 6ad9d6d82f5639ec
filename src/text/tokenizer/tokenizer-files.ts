/**
 * The two files a tokenizer is made of, read and opened. Reads them once.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../protocol/error-message.ts';
import { Pipeline } from './pipeline.ts';

/** Paths of the files a tokenizer is made of. */
export interface TokenizerFiles {
  readonly tokenizerFile: string;
  /** Absent: what a tokenizer is without its configuration. */
  readonly tokenizerConfigFile?: string;
}

const fields = z.looseObject({});
const names = z.array(z.unknown()).nullish();

/**
 * Reads both files.
 * @throws Error naming the file: it cannot be read, or asks for a part that is not known.
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
    return fields.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw broken(file, cause);
  }
}

function broken(file: string, cause: unknown): Error {
  const reason = cause instanceof z.ZodError ? z.prettifyError(cause).replaceAll(/\s+/g, ' ') : undefined;
  const message = reason ?? messageOf(cause);
  return new Error(`${basename(file)} cannot be used: ${message}`, { cause });
}
