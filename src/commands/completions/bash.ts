/**
 * The completions for bash 3.2 and later. Starts no other program: the models are folders of the cache. Pure.
 */
import { type CompletedCommand, type FlagValue, passingPattern, valueCases } from './flags.ts';

export const bashScript = (commands: readonly CompletedCommand[]): string => `# Completions of rbees-workerd for bash.
_rbees_workerd_models() {
  local folder name
  for folder in "\${HF_HUB_CACHE:-\${HF_HOME:-\${XDG_CACHE_HOME:-$HOME/.cache}/huggingface}/hub}"/models--*; do
    [[ -d $folder ]] || continue
    name=\${folder##*/models--}
    # compgen -W would run the commands in a name. Names of models have these characters only.
    [[ $name == *[^[:alnum:]._-]* ]] && continue
    printf '%s\\n' "\${name//--//}"
  done
}
_rbees_workerd_words() {
  local word
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$1" -- "$2")
}
_rbees_workerd_paths() {
  local path
  compopt -o filenames 2>/dev/null
  while IFS= read -r path; do COMPREPLY+=("$path"); done < <(compgen "$1" -- "$2")
}
_rbees_workerd() {
  local at current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command=serve flags='' words='' place=1
  # bash divides --flag=value at the sign.
  if [[ $current == = ]]; then current=; elif [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  if [[ \${COMP_WORDS[1]} != -* && $COMP_CWORD -gt 1 ]]; then command=\${COMP_WORDS[1]} place=2; fi
  if [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
    _rbees_workerd_words '${commands.map(({ name }) => name).join(' ')} --help --version' "$current"
    return
  fi
  for ((at = 2; at < COMP_CWORD; at++)); do
    if [[ \${COMP_WORDS[at]} == -- ]]; then
      case $command in ${passingPattern(commands)}) command=serve place=0 ;; *) compopt -o default 2>/dev/null; return ;; esac
    fi
  done
  case $command in
${commands.map(caseOf).join('\n')}
    *) return ;;
  esac
  if [[ $current == -* ]]; then _rbees_workerd_words "$flags" "$current"
  elif [[ $COMP_CWORD -eq $place && -n $words ]]; then _rbees_workerd_words "$words" "$current"
  fi
}
complete -F _rbees_workerd rbees-workerd
`;

function caseOf({ name, flags, words }: CompletedCommand): string {
  return `    ${name})
      case $previous in
${valueCases(flags, actionOf)}
      esac
      flags='${flags.map((flag) => flag.name).join(' ')}'
      words='${words.join(' ')}' ;;`;
}

/** Undefined for a flag without a value. */
function actionOf(value: FlagValue): string | undefined {
  if (value === 'none') return undefined;
  if (value === 'text') return '';
  if (value === 'file') return '_rbees_workerd_paths -f "$current"; ';
  if (value === 'folder') return '_rbees_workerd_paths -d "$current"; ';
  if (value === 'model')
    return '_rbees_workerd_words "$(_rbees_workerd_models)" "$current"; _rbees_workerd_paths -d "$current"; ';
  return `_rbees_workerd_words '${value.join(' ')}' "$current"; `;
}
