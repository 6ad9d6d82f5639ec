/**
 * Hides the tokens of this process from other processes of the same user, in particular from the engine and
 * the libraries that it loads: `/proc/<pid>/environ` and `/proc/<pid>/cmdline` show the first environment and
 * the arguments of a process for its whole life. They show its memory, so the process overwrites the values
 * there (docs/decisions/0020-stop-signals-outside-of-the-event-loop.md).
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { messageOf } from '../../protocol/text/error-message.ts';
import { HUB_TOKENS } from '../network/hub-token.ts';
import { SECRET_TRACE_VARIABLES } from '../traces/wanted.ts';

const TOKEN_FLAGS = ['--api-token', '--callback-token'];
/** A proxy can have a password. */
const PROXIES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY'];
const SECRET_VARIABLES: readonly string[] = [
  'RBEES_API_TOKEN',
  'RBEES_CALLBACK_TOKEN',
  ...HUB_TOKENS,
  ...SECRET_TRACE_VARIABLES,
  ...PROXIES,
  ...PROXIES.map((name) => name.toLowerCase()),
];

/** Bytes of `/proc/self/environ` or `/proc/self/cmdline` that hold a secret. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/** Numbers of fields in `/proc/self/stat` (proc_pid_stat(5)), counted from 1. */
const ARG_START = 48;
const ENV_START = 50;

/**
 * Overwrites the tokens in the first environment and the arguments of this process by stars, and removes them
 * from `process.env`. Call it after the settings are read and before an engine is started. Also ignores
 * SIGUSR1, by which any process of the user could open the debugger of Node.js.
 * @returns the reason why a token can still be read; undefined if none can, and on other systems than Linux
 */
export function hideSecrets(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  process.on('SIGUSR1', () => undefined);
  const problem = process.platform === 'linux' ? overwriteSecrets() : undefined;
  for (const name of SECRET_VARIABLES) delete environment[name];
  return problem;
}

function overwriteSecrets(): string | undefined {
  try {
    overwrite('/proc/self/environ', ENV_START, variableSpans);
    overwrite('/proc/self/cmdline', ARG_START, argumentSpans);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** @throws Error if a secret in the file cannot be overwritten. */
function overwrite(file: string, addressField: number, find: (content: Buffer) => Span[]): void {
  const spans = find(readFileSync(file));
  if (spans.length === 0) return;
  const base = statField(addressField);
  const memory = openSync('/proc/self/mem', 'r+');
  try {
    for (const { start, end } of spans) writeSync(memory, '*'.repeat(end - start), base + start, 'latin1');
  } finally {
    closeSync(memory);
  }
  const content = readFileSync(file);
  if (find(content).some(({ start, end }) => content.toString('latin1', start, end).replaceAll('*', '') !== ''))
    throw new Error(`${file} still shows a token after its memory was overwritten`);
}

/** Addresses have at most 47 bits in user space, so a number is exact. */
function statField(field: number): number {
  const text = readFileSync('/proc/self/stat', 'latin1');
  // The second field, the name of the command, may contain spaces and parentheses.
  const address = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[field - 3]);
  if (!Number.isSafeInteger(address) || address <= 0) throw new Error('/proc/self/stat names no address');
  return address;
}

/** The values of the variables with secrets. */
function variableSpans(content: Buffer): Span[] {
  return entriesOf(content).flatMap(({ text, start, end }) => {
    const name = SECRET_VARIABLES.find((variable) => text.startsWith(`${variable}=`));
    return name === undefined ? [] : [{ start: start + name.length + 1, end }];
  });
}

/** The values of the token flags: `--api-token=value`, or the argument after `--api-token`. */
function argumentSpans(content: Buffer): Span[] {
  return entriesOf(content).flatMap(({ text, start, end }, index, all) => {
    const flag = TOKEN_FLAGS.find((name) => text.startsWith(`${name}=`));
    if (flag !== undefined) return [{ start: start + flag.length + 1, end }];
    return TOKEN_FLAGS.includes(all[index - 1]?.text ?? '') ? [{ start, end }] : [];
  });
}

/** The entries of such a file, each ended by a zero byte. One character is one byte. */
function entriesOf(content: Buffer): (Span & { readonly text: string })[] {
  let start = 0;
  return content
    .toString('latin1')
    .split('\0')
    .map((text) => {
      const entry = { text, start, end: start + text.length };
      start = entry.end + 1;
      return entry;
    });
}
