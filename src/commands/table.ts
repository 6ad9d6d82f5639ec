/**
 * The table of commands: the name of each, its line in the overview, and the module that runs it. `serve`
 * does not load this file, because a start would pay for it.
 */
import { ConfigError } from '../config/config.ts';
import { nearestOf } from '../config/nearest.ts';
import { shorten } from '../protocol/text/error-message.ts';
import type { Command, CommandLine, ListedCommand } from './command.ts';

/** A command that the table runs. */
export interface CommandRow extends CommandLine {
  /** True if the command uses the HTTP client of Node.js, which needs WebAssembly. */
  readonly usesHttpClient: boolean;
  readonly load: () => Promise<Command>;
}

/** The default command. `cli.ts` starts it without the table. */
export const SERVE: ListedCommand = {
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
    summary: 'answer a question, and narrate the work',
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
  {
    name: 'models',
    usage: '',
    summary: 'list the models of the cache, and the memory they need',
    usesHttpClient: false,
    load: async () => (await import('./models/models.ts')).modelsCommand,
  },
  {
    name: 'ps',
    usage: '',
    summary: 'list the workers of this machine',
    usesHttpClient: true,
    load: async () => (await import('./ps/ps.ts')).psCommand,
  },
  {
    name: 'watch',
    usage: '[<job>]',
    summary: 'show a job of a worker; without a job, list them',
    usesHttpClient: true,
    load: async () => (await import('./watch/watch.ts')).watchCommand,
  },
  {
    name: 'launch',
    usage: '<agent>',
    summary: 'configure codex, opencode, … for a worker',
    usesHttpClient: true,
    load: async () => (await import('./launch/launch.ts')).launchCommand,
  },
  {
    name: 'completions',
    usage: '<shell>',
    summary: 'print completions for bash, zsh or fish',
    usesHttpClient: false,
    load: async () => (await import('./completions/completions.ts')).completionsCommand,
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
