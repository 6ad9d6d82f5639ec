/**
 * The completions for fish 3 and later. Starts no other program: the models are folders of the cache. Pure.
 */
import type { CompletedCommand, Flag, FlagValue } from './flags.ts';

const COMPLETE = 'complete -c rbees-workerd';

export function fishScript(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name).join(' ');
  const rows = commands.map(
    ({ name, summary }) => `${COMPLETE} -n __rbees_workerd_first -a ${name} -d ${quoted(summary)}`,
  );
  return `# Completions of rbees-workerd for fish.
function __rbees_workerd_models
    set -l cache $HF_HUB_CACHE
    if test -z "$cache"
        set -l home $HF_HOME
        if test -z "$home"
            set -l caches $XDG_CACHE_HOME
            test -z "$caches"; and set caches $HOME/.cache
            set home $caches/huggingface
        end
        set cache $home/hub
    end
    for folder in $cache/models--*
        string replace -a -- -- / (string replace -r '.*/models--' '' $folder)
    end
    __fish_complete_directories
end
function __rbees_workerd_first
    test (count (commandline -opc)) -eq 1
end
# serve is the command of a line that begins with a flag.
function __rbees_workerd_serve
    __fish_seen_subcommand_from serve; or not __fish_seen_subcommand_from ${names}
end
# The arguments after -- are settings of a worker. fish completes no options there, only words.
function __rbees_workerd_rest
    contains -- -- (commandline -opc)
end
${COMPLETE} -f
${rows.join('\n')}
${commands.flatMap((command) => linesOf(command, commands[0]?.flags ?? [])).join('\n')}
`;
}

/** @param settings the flags of `serve` */
function linesOf({ name, flags, words, passesSettings }: CompletedCommand, settings: readonly Flag[]): string[] {
  const condition = name === 'serve' ? '__rbees_workerd_serve' : `'__fish_seen_subcommand_from ${name}'`;
  const rest = `'__fish_seen_subcommand_from ${name}; and __rbees_workerd_rest'`;
  return [
    ...(passesSettings ? [`${COMPLETE} -n ${rest} -a '${settings.map((flag) => flag.name).join(' ')}'`] : []),
    ...words.map((word) => `${COMPLETE} -n '__fish_seen_subcommand_from ${name}' -a ${word}`),
    ...flags.map((flag) => `${COMPLETE} -n ${condition} ${optionOf(flag)}${meaningOf(flag)}`),
  ];
}

function optionOf({ name, value }: Flag): string {
  const option = name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`;
  return `${option}${valueOption(value)}`;
}

const meaningOf = ({ meaning }: Flag): string => (meaning === '' ? '' : ` -d ${quoted(meaning)}`);

function valueOption(value: FlagValue): string {
  if (value === 'none') return '';
  if (value === 'text') return ' -x';
  if (value === 'file') return ' -r -F';
  if (value === 'folder') return " -x -a '(__fish_complete_directories)'";
  if (value === 'model') return " -x -a '(__rbees_workerd_models)'";
  return ` -x -a '${value.join(' ')}'`;
}

/** Inside of single quotes, fish has two escapes. */
const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
