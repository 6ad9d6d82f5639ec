/**
 * The header `Content-Type`: only JSON in UTF-8. Pure.
 */
import { WorkerError } from '../../contract/errors.ts';
import { shownText } from '../validate.ts';

/** The names of UTF-8 and of its subset. A body is read as UTF-8 in both cases. */
const CHARSETS = ['utf-8', 'us-ascii'] as const;
const ACCEPTED: ReadonlySet<string> = new Set([...CHARSETS, 'utf8', 'ascii']);

const JSON_TYPE = /^application\/json[ \t]*(?=;|$)/i;
/** One parameter, which may be empty. Each part stops at a character that the next one cannot match. */
const PARAMETER = /[ \t]*;[ \t]*(?:([^\s;=]+)[ \t]*(?:=[ \t]*("(?:[^"\\]|\\.)*"|[^\s;]*))?)?/y;

/**
 * Checks the type of a body and its charset.
 * @throws WorkerError `UNSUPPORTED_MEDIA_TYPE`
 */
export function requireJson(contentType: string | undefined): void {
  const type = JSON_TYPE.exec(contentType ?? '');
  if (!type)
    throw new WorkerError('UNSUPPORTED_MEDIA_TYPE', 'The body must be application/json, as Content-Type says.');
  const charset = charsetsOf(contentType ?? '', type[0].length).find((name) => !ACCEPTED.has(name));
  if (charset === undefined) return;
  const shown = shownText(charset);
  const message = `The charset must be ${CHARSETS.join(' or ')}, but is ${JSON.stringify(shown)}.`;
  throw new WorkerError('UNSUPPORTED_MEDIA_TYPE', message, { details: { charset: shown } });
}

/** All values of the parameter `charset`, in lower case. */
function charsetsOf(header: string, from: number): string[] {
  const found: string[] = [];
  PARAMETER.lastIndex = from;
  for (let match = PARAMETER.exec(header); match; match = PARAMETER.exec(header)) {
    const [, name = '', value = ''] = match;
    if (name.toLowerCase() === 'charset') found.push(value.replace(/^"(.*)"$/s, '$1').toLowerCase());
  }
  return found;
}
