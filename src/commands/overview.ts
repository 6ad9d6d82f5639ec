/** The text of `--help`: the overview of all commands, or the description of one. */
import { COMMANDS, commandNamed, SERVE } from './table.ts';

/** Columns of the name and the arguments of a command. */
const USAGE = 20;

/**
 * The text for a command line with `--help`.
 * @param first the first argument: a command, or a flag
 * @param all true for `--help-all`
 * @throws ConfigError if there is no such command
 */
export async function helpText(first: string | undefined, all: boolean, version: string): Promise<string> {
  const isNamed = first !== undefined && !first.startsWith('-');
  if (!isNamed && !all) return overview(version);
  const row = !isNamed || first === SERVE.name ? SERVE : commandNamed(first);
  const command = await row.load();
  return all && command.helpAll ? command.helpAll() : command.help();
}

function overview(version: string): string {
  const [ask, ...others] = COMMANDS;
  const rows = [...(ask ? [ask] : []), SERVE, ...others].map(
    ({ name, usage, summary }) => `  ${`${name} ${usage}`.padEnd(USAGE)} ${summary}`,
  );
  return `rbees-workerd ${version}: an LLM worker that narrates each step of its work.

Usage: rbees-workerd <command> [arguments]

${rows.join('\n')}

Help
  rbees-workerd <command> --help     one command on one screen
  rbees-workerd serve --help-all     all settings, variables and signals
  rbees-workerd --version

First steps
  rbees-workerd ask "Write a haiku about the sea"
  rbees-workerd serve --port 8080

Exit codes: 0 success; 1 failure; 2 wrong command line or settings; 130 Ctrl-C.
`;
}
