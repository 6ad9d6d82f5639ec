/**
 * The table of commands: the name of each, its line in the overview, and the module that runs it. `serve`
 * does not load this file, because a start would pay for it.
 */
import { ConfigError } from '../config/config.ts';
import { nearestOf } from '../config/nearest.ts';
import { shorten } from '../protocol/text/error-message.ts';
import type { Command, CommandHelp } from './command.ts';

/** The line of a command in the overview. */
export interface CommandLine {
  readonly name: string;
  /** The arguments, as the overview shows them. At most 18 columns with the name. */
  readonly usage: string;
  /** At most 54 columns. */
  readonly summary: string;
}

/** A command that the table runs. */
export interface CommandRow extends CommandLine {
  /** True if the command uses the HTTP client of Node.js, which needs WebAssembly. */
  readonly usesHttpClient: boolean;
  readonly load: () => Promise<Command>;
}

/** The default command. `cli.ts` starts it without the table. */
export const SERVE: CommandLine & { readonly load: () => Promise<CommandHelp> } = {
  name: 'serve',
  usage: '[settings]',
  summary: 'run a worker; the default command',
  load: async () => (await import('./serve/serve-help.ts')).serveHelp,
};

/** All other commands, in the order of the overview. */
export const COMMANDS: readonly CommandRow[] = [
  {
    name: 'ask',
    usage: '"<question>"',
    summary: 'answer a question, and tell its story',
    usesHttpClient: true,
    load: async () => (await import('./ask/ask-command.ts')).askCommand,
  },
  {
    name: 'pull',
    usage: '<org/model>',
    summary: 'download a model from the hub into the cache',
    usesHttpClient: true,
    load: async () => (await import('./pull/pull-command.ts')).pullCommand,
  },
  {
    name: 'doctor',
    usage: '[settings]',
    summary: 'list the devices, and the parts that are missing',
    usesHttpClient: false,
    load: async () => (await import('./doctor/doctor-command.ts')).doctorCommand,
  },
];

/** @throws ConfigError if there is no such command */
export function commandNamed(name: string): CommandRow {
  const row = COMMANDS.find((one) => one.name === name);
  if (row) return row;
  const names = [SERVE, ...COMMANDS].map((one) => one.name);
  const nearest = nearestOf(name, names);
  const question = nearest === undefined ? '' : ` Did you mean ${nearest}?`;
  throw new ConfigError(
    `Unknown command "${shorten(name, 200)}"; allowed: ${names.join(', ')}.${question} rbees-workerd --help describes them.`,
  );
}
