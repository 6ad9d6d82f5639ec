/** Reads the text that a pipe or a file gives on standard input. */
import { isUtf8 } from 'node:buffer';
import { fstatSync } from 'node:fs';
import { ConfigError } from '../../../config/config.ts';
import { formatBytes } from '../../../narration/phrases.ts';

/** Maximum bytes of standard input. No current model has a context for as much text. */
export const MAX_STDIN_BYTES = 16 * 2 ** 20;
/** Milliseconds after which the command reports that it waits for the end of the input. */
const NOTICE_MS = 2000;

/**
 * The whole text of standard input, without its last line feeds; undefined if standard input is a terminal, a
 * device or closed.
 * @param waiting called if the input takes long
 * @throws ConfigError for a binary or a too large input
 */
export async function readStdin(waiting: () => void): Promise<string | undefined> {
  if (!hasText()) return undefined;
  const timer = setTimeout(waiting, NOTICE_MS);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_STDIN_BYTES)
        throw new ConfigError(
          `standard input is larger than ${formatBytes(MAX_STDIN_BYTES)}; ask takes text of at most that size`,
        );
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return textOf(Buffer.concat(chunks));
}

/** True for a pipe, a socket and a file. A terminal gives a question in the chat only. */
function hasText(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile() || stat.isSocket();
  } catch {
    return false; // closed
  }
}

function textOf(bytes: Buffer): string {
  const zero = bytes.indexOf(0);
  if (zero !== -1)
    throw new ConfigError(`standard input is not text: byte ${zero + 1} is zero; ask takes text in UTF-8`);
  if (!isUtf8(bytes)) throw new ConfigError('standard input is not valid UTF-8; ask takes text in UTF-8');
  return bytes
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .replace(/[\r\n]+$/, '');
}
