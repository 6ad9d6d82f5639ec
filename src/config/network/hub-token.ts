/**
 * The token of the hub, where huggingface_hub looks for it: `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, then the
 * file that `hf auth login` writes. Reads that file only.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { devNull } from 'node:os';
import { ConfigError } from '../config.ts';

/** The variables of the token; the first one that is set counts. */
export const HUB_TOKENS: readonly string[] = ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'];
/** Maximum size of the file with the token. A token has about 40 characters. */
export const MAX_TOKEN_FILE_BYTES = 4096;

const VALID = /^[\x21-\x7e]{1,1024}$/;
const RULE = 'up to 1024 visible ASCII characters';

/** A token and the place that it comes from, or the reason why the file of the token is not used. */
export interface HubToken {
  readonly token: string | undefined;
  /** `HF_TOKEN`, or `the token in <path>`; undefined without a token. */
  readonly tokenSource: string | undefined;
  /** Why the file at the default path was ignored. */
  readonly tokenProblem?: string;
}

/** The file with the token. */
export interface TokenFile {
  /** An absolute path. */
  readonly path: string;
  /** True if `HF_TOKEN_PATH` names it: then it must be usable. */
  readonly isNamed: boolean;
}

/**
 * Finds the token. A variable wins over the file, also with a token that the hub refuses.
 * @throws ConfigError for a malformed token, and for a file of `HF_TOKEN_PATH` that cannot be used. The
 * message never contains the token.
 */
export function readHubToken(environment: NodeJS.Dict<string>, file: TokenFile): HubToken {
  for (const name of HUB_TOKENS) {
    const token = environment[name]?.trim();
    if (!token) continue;
    if (!VALID.test(token)) throw new ConfigError(`${name}: (hidden) is not allowed; allowed: ${RULE}`);
    return { token, tokenSource: name };
  }
  const read = readTokenFile(file.path);
  if ('token' in read) return { token: read.token, tokenSource: read.token && `the token in ${file.path}` };
  if (file.isNamed)
    throw new ConfigError(
      `HF_TOKEN_PATH: ${JSON.stringify(file.path)} ${read.problem}; name a file with a token, or unset HF_TOKEN_PATH`,
    );
  const tokenProblem = `The token file ${file.path} ${read.problem}: it is ignored. Run "hf auth login" again, or set HF_TOKEN`;
  return { token: undefined, tokenSource: undefined, tokenProblem };
}

/** A missing file holds no token, as in huggingface_hub. */
function readTokenFile(path: string): { readonly token: string | undefined } | { readonly problem: string } {
  if (path === devNull) return { token: undefined };
  let file: number;
  try {
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? { token: undefined } : { problem: `cannot be read (${code})` };
  }
  try {
    if (!fstatSync(file).isFile()) return { problem: 'is not a regular file' };
    const buffer = Buffer.alloc(MAX_TOKEN_FILE_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = readSync(file, buffer, length, buffer.length - length, null);
    if (length > MAX_TOKEN_FILE_BYTES) return { problem: `is longer than ${MAX_TOKEN_FILE_BYTES} bytes` };
    const token = buffer.toString('utf8', 0, length).trim();
    return token === '' || VALID.test(token)
      ? { token: token === '' ? undefined : token }
      : { problem: `holds no token (allowed: ${RULE})` };
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code})` };
  } finally {
    closeSync(file);
  }
}
