/** The texts of `serve --help` and `serve --help-all`. */
import { settingsHelp } from '../../config/help.ts';
import type { CommandHelp } from '../command.ts';
import { HUB_VARIABLES, NETWORK_VARIABLES, TRACE_VARIABLES } from '../variables-help.ts';

const SIGNALS = `Signals
  SIGTERM, SIGINT, SIGHUP              finish the running requests, then exit; a second SIGTERM or SIGINT exits at once
  SIGUSR2                              send the ready callback again, as POST /announce does`;

export const serveHelp: CommandHelp = {
  help: () => `rbees-workerd [serve] [settings]

Runs a worker: one model behind HTTP, and a narration of its work on stdout.
Its page for browsers is http://<host>:<port>. OpenAI clients use
http://<host>:<port>/v1, Anthropic clients http://<host>:<port>.

Common settings. Each has a variable: --api-token is RBEES_API_TOKEN.
  --model <model>      folder, .gguf file or org/name[:tag]; default: embedded
  --device <device>    auto, cpu, cuda, webgpu, coreml; default: auto
  --dtype <type>       type of weights; q8, q4 quantize floats; default: auto
  --host, --port       address to listen on; default: 127.0.0.1, 8080
  --page auto|on|off   web page at /; auto: on loopback only; default: auto
  --api-token <token>  bearer token that callers must send; default: none
  --slots <n>          requests that run at the same time; default: auto
  --context <n>        tokens of a slot, prompt and output together
  --queue <n>          requests that may wait for a slot; default: 64
  --log-format pretty  log lines for people; default: json
  --env-file <file>    file of settings; default: .env of the working directory

SIGTERM, SIGINT and SIGHUP finish the running requests, then exit.
Exit codes: 0 clean stop; 1 failed start or fatal error; 2 wrong settings.

rbees-workerd serve --help-all lists all settings, variables and signals.
`,
  helpAll: () => `rbees-workerd [serve] [settings]

Settings (order of precedence: flag, environment variable, file of settings, default)
From .env of the working directory, serve takes no setting that loads code, opens the worker to others or hides log
lines, unless --env-file names the file. The other commands read no file without --env-file.
${settingsHelp()}

${HUB_VARIABLES}

${NETWORK_VARIABLES}

${TRACE_VARIABLES}

${SIGNALS}

Exit codes: 0 clean stop; 1 failed start or fatal error; 2 wrong command line or environment.
`,
};
