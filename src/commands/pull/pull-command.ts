/** The command `pull` for the table: its help texts, and its start. */
import type { Command } from '../command.ts';
import { HUB_VARIABLES, NETWORK_VARIABLES } from '../variables-help.ts';
import { pull } from './pull.ts';

const HELP = `rbees-workerd pull <org/model>[/folder][:tag][@revision] [flags]

Downloads a model from the hub into the local cache, and prints its path.
Run it with: rbees-workerd serve --model <org/model>

  :Q4_K_M, /file.gguf  the GGUF file with this tag, or of this name
  --format <onnx|safetensors|gguf|auto>
      auto: ONNX, else safetensors, else GGUF (only file, Q4_K_M, Q4_0, Q8_0)
  --dtype <type>       data type of the weights, such as q4
  --device <device>    choose the weights for this device; default: for the CPU
  --verify             check the checksum of every file of the model that is in
                       the cache, and download damaged files again
  --env-file <file>    file of settings; default: none
`;

export const pullCommand: Command = {
  help: () => `${HELP}
Common variables
  HF_TOKEN             token for gated and private models
  HF_HUB_CACHE         folder of the cache; default: ~/.cache/huggingface/hub
  HF_HUB_OFFLINE=1     use only the cache, and send no requests
  HTTPS_PROXY          URL of the proxy

Exit codes: 0 success; 1 hub, model or disk; 2 wrong command line or settings.

rbees-workerd pull --help-all lists all variables.
`,
  helpAll: () => `${HELP}
${HUB_VARIABLES}

${NETWORK_VARIABLES}

Exit codes: 0 success; 1 hub, model or disk; 2 wrong command line or settings.
`,
  run: (args) => pull(args),
};
