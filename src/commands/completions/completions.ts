/**
 * `rbees-workerd completions <shell>`: prints the completions of all commands and flags for a shell. Made
 * from the table of commands, their help, and the table of settings.
 */
import { ConfigError } from '../../config/config.ts';
import { shorten } from '../../protocol/text/error-message.ts';
import type { Command, CommandContext, CommandLine, ListedCommand } from '../command.ts';
import { Terminal } from '../terminal.ts';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { type CompletedCommand, type Flag, helpFlags, settingFlags } from './flags.ts';
import { zshScript } from './zsh.ts';

const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript };
type Shell = keyof typeof SHELLS;
const NAMES = Object.keys(SHELLS) as Shell[];

const HELP = `rbees-workerd completions <shell>

Prints the completions for ${NAMES.join(', ')}. They complete commands, flags,
values, files, and the names of the models in the hub cache.

bash, in ~/.bashrc:
  source <(rbees-workerd completions bash)

zsh, in ~/.zshrc after compinit:
  source <(rbees-workerd completions zsh)

fish, once:
  rbees-workerd completions fish > ~/.config/fish/completions/rbees-workerd.fish
`;

export const completionsCommand: Command = { help: () => HELP, words: () => NAMES, run };

async function run(args: readonly string[], { commands }: CommandContext): Promise<number> {
  const [given, ...more] = args;
  const shell = NAMES.find((one) => one === given);
  if (shell === undefined || more.length > 0) {
    const text = shorten(JSON.stringify([given, ...more].join(' ')), 200);
    const problem = given === undefined ? 'the shell is missing' : `${text} is not allowed`;
    throw new ConfigError(`completions: ${problem}; allowed: ${NAMES.join(', ')}`);
  }
  await Terminal.stdout().print(SHELLS[shell](await Promise.all(commands.map(completed))));
  return 0;
}

const HELP_FLAGS: readonly Flag[] = [
  { name: '--help', value: 'none', meaning: 'the command on one screen' },
  { name: '--help-all', value: 'none', meaning: 'everything about the command' },
];

async function completed(row: ListedCommand): Promise<CompletedCommand> {
  const command = await row.load();
  // The table of settings has the values of the flags. The help of serve shows the same flags in another
  // form.
  const [settings, own] = takesSettings(row)
    ? [settingFlags(), helpFlags(command.help())]
    : [[], helpFlags(command.helpAll?.() ?? command.help())];
  const flags = new Map([...own, ...settings, ...HELP_FLAGS].map((flag) => [flag.name, flag]));
  return {
    ...{ name: row.name, summary: row.summary, flags: [...flags.values()], words: command.words?.() ?? [] },
    passesSettings: PASSES_SETTINGS.test(command.help()),
  };
}

/** The first line of a help. */
const PASSES_SETTINGS = /^.*\[-- settings/;

/** The usage of a command names its arguments. */
const takesSettings = ({ usage }: CommandLine): boolean => usage.includes('[settings]');
