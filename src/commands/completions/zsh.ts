/**
 * The completions for zsh 5 and later. Starts no other program: the models are folders of the cache. Pure.
 */
import { type CompletedCommand, type FlagValue, passingPattern, valueCases } from './flags.ts';

export const zshScript = (commands: readonly CompletedCommand[]): string => `#compdef rbees-workerd
# Completions of rbees-workerd for zsh.
_rbees_workerd_models() {
  local -a folders
  folders=("\${HF_HUB_CACHE:-\${HF_HOME:-\${XDG_CACHE_HOME:-$HOME/.cache}/huggingface}/hub}"/models--*(N/:t))
  compadd -- "\${(@)\${(@)folders#models--}//--//}"
  _files -/
}
_rbees_workerd() {
  local command=serve
  local -a commands flags words_of_command
  commands=(
${commands.map(({ name, summary }) => `    ${quoted(`${name}:${escapedColons(summary)}`)}`).join('\n')}
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then _describe -t commands command commands; return; fi
  [[ $words[2] != -* ]] && command=$words[2]
  local at=\${words[(i)--]}
  if (( at < CURRENT )); then
    case $command in ${passingPattern(commands)}) command=serve ;; *) _files; return ;; esac
  fi
  # --flag=value
  local previous=$words[CURRENT-1]
  if [[ $words[CURRENT] == --*=* ]]; then previous=\${words[CURRENT]%%=*}; compset -P 1 '*='; fi
  case $command in
${commands.map(caseOf).join('\n')}
    *) _files; return ;;
  esac
  if [[ $words[CURRENT] == -* ]]; then _describe -o -t flags flag flags
  elif (( CURRENT == 3 )); then compadd -- $words_of_command
  fi
}
if [[ $funcstack[1] == _rbees_workerd ]]; then _rbees_workerd "$@"; else compdef _rbees_workerd rbees-workerd; fi
`;

function caseOf({ name, flags, words }: CompletedCommand): string {
  return `    ${name})
      case $previous in
${valueCases(flags, actionOf)}
      esac
      flags=(
${flags.map(({ name, meaning }) => `        ${quoted(`${escapedColons(name)}:${escapedColons(meaning)}`)}`).join('\n')}
      )
      words_of_command=(${words.join(' ')}) ;;`;
}

/** Undefined for a flag without a value. */
function actionOf(value: FlagValue): string | undefined {
  if (value === 'none') return undefined;
  if (value === 'text') return '';
  if (value === 'file') return '_files; ';
  if (value === 'folder') return '_files -/; ';
  if (value === 'model') return '_rbees_workerd_models; ';
  return `compadd -- ${value.join(' ')}; `;
}

/** `_describe` divides name and meaning at the first colon. */
const escapedColons = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll(':', '\\:');

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
