/**
 * A command line for bash, zsh and fish. Every value is quoted, because the name of a model is foreign text.
 * Pure.
 */
import { type AgentSetup, TOKEN, type Value } from './agents.ts';

/** A word that needs no quotes. */
const PLAIN = /^[\w@%+:,./=-]+$/;
const TOKEN_REFERENCE = '"$RBEES_API_TOKEN"';

/**
 * The command, with its variables before it: one variable a line, and one line for each flag with its value.
 */
export function shellCommand(command: string, { args, variables }: AgentSetup): string {
  const assignments = Object.entries(variables).map(([name, value]) => `${name}=${shown(value)}`);
  const words = args.map((arg) => (arg.startsWith('-') ? ` \\\n  ${quoted(arg)}` : ` ${quoted(arg)}`));
  return [...assignments, command + words.join('')].join(' \\\n');
}

const shown = (value: Value): string => (value === TOKEN ? TOKEN_REFERENCE : quoted(value as string));

/**
 * fish escapes a backslash inside of single quotes, and bash does not: such a text is the only difference.
 */
function quoted(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
