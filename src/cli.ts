#!/usr/bin/env -S node --
/**
 * Runs the command that the arguments name. The only file that uses process.argv and process.exit.
 * The `--` of the first line is for `--env-file`: without it, Node.js 20 to 24 look for the file of this
 * option even after the name of a script, and exit if it is missing.
 */
import { readFileSync } from 'node:fs';
import { forkEngine } from './bridge/child.ts';
import { closeLostTerminals } from './commands/lost-terminal.ts';
import { ConfigError, engineEnvironment, readSettings, startedByNpm } from './config/config.ts';
import { settingsHelp } from './config/help.ts';
import { checkAddressSpace, checkProxyClient, hasWasmOptions, wasmOptions } from './config/host/address-space.ts';
import { workingFolder } from './config/host/folder.ts';
import { hangupEnvironment, ignoresHangup } from './config/host/hangup.ts';
import { hideSecrets } from './config/host/hide-secrets.ts';
import { checkReadyDescriptor } from './config/host/ready-descriptor.ts';
import { readProxies } from './config/network/proxy-settings.ts';
import { CLI_ENTRY, PACKAGE_FILE } from './config/paths.ts';
import { AnnounceSignal } from './lifecycle/callback/announce-signal.ts';
import { StopRequests } from './lifecycle/stop-requests.ts';
import { shorten } from './protocol/text/error-message.ts';
import { withoutUrlSecrets } from './protocol/text/url-text.ts';

const VERSION = (JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { version: string }).version;

const help = (): string => `rbees-workerd ${VERSION}: an LLM worker that narrates each step of its work.

Usage
  rbees-workerd [serve] [settings]     run the worker (default command). OpenAI clients use http://<host>:<port>/v1,
                                       Anthropic clients http://<host>:<port>
  rbees-workerd ask "<prompt>" [settings]
                                       start a worker, send it one prompt, show narration and output
  rbees-workerd pull <org/model>[@revision] [--dtype q4] [--device cuda] [--verify]
                                       download a model from the hub into the local cache; run the model with
                                       --model org/model.
                                       A model in a folder of its repository: org/model/folder.
                                       Without --dtype, pull chooses weights for --device (default: for the CPU).
                                       --verify checks the checksum of every file of the model that is in the cache,
                                       and downloads damaged files again; with HF_HUB_OFFLINE=1 it only checks
  rbees-workerd doctor [--json] [settings]
                                       list the devices, the device that the worker would use, and the missing parts;
                                       exit code 0 if that device works
  rbees-workerd --help | --version

Settings (order of precedence: flag, environment variable, file of settings, default)
From .env of the working directory, serve takes no setting that loads code, opens the worker to others or hides log
lines, unless --env-file names the file. ask, doctor and pull read no file without --env-file.
${settingsHelp()}

Environment variables of the hub, the same as those of huggingface_hub
  HF_TOKEN                             token for gated and private models
  HF_TOKEN_PATH                        file with the token, if HF_TOKEN is not set; default: token in HF_HOME, which
                                       "hf auth login" writes
  HF_ENDPOINT                          URL of another hub; default: https://huggingface.co
  HF_HUB_CACHE, HF_HOME                folder of the cache, or its parent folder; default: ~/.cache/huggingface
  HF_HUB_OFFLINE=1                     pull uses only the cache and sends no requests
  HF_HUB_DISABLE_SYMLINKS=1            pull copies files into the snapshots of the cache instead of linking them

Environment variables of the network, for pull and the ready callback; in lower or upper case
  HTTPS_PROXY, HTTP_PROXY              URL of the proxy for https and for http; never used for this machine
  NO_PROXY                             hosts without a proxy: names, .domains, addresses, networks, host:port, or *
  NODE_EXTRA_CA_CERTS                  PEM file with further certificate authorities, read by Node.js

Signals of serve
  SIGTERM, SIGINT, SIGHUP              finish the running requests, then exit; a second SIGTERM or SIGINT exits at once
  SIGUSR2                              send the ready callback again, as POST /announce does

Exit codes: 0 clean stop; 1 failed start or fatal error; 2 wrong command line or environment.
`;

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) return print(help());
  if (args.includes('--version') || args.includes('-v')) return print(`${VERSION}\n`);
  const [first, ...rest] = args;
  const survivesHangup = ignoresHangup();
  if (survivesHangup) process.on('SIGHUP', () => undefined);
  if (first !== 'pull') checkAddressSpace();
  // The HTTP client of these two commands uses WebAssembly.
  if ((first === 'ask' || first === 'pull') && wasmOptions().length > 0 && !hasWasmOptions()) {
    const { runAgain } = await import('./commands/again.ts');
    return runAgain({ cli: CLI_ENTRY, args, options: wasmOptions(), environment: hangupEnvironment(survivesHangup) });
  }
  if (first === 'ask') {
    const { ask } = await import('./commands/ask/ask.ts');
    return ask(rest, { cli: CLI_ENTRY, survivesHangup });
  }
  if (first === 'pull') {
    const { pull } = await import('./commands/pull/pull.ts');
    return pull(rest);
  }
  if (first === 'doctor') {
    const { doctor } = await import('./commands/doctor/doctor.ts');
    return doctor(rest, VERSION);
  }
  if (first !== undefined && first !== 'serve' && !first.startsWith('-')) {
    throw new ConfigError(
      `Unknown command "${shorten(first, 200)}"; allowed: serve, ask, pull, doctor. rbees-workerd --help describes them.`,
    );
  }
  const announceSignal = new AnnounceSignal();
  const settings = readSettings(first === 'serve' ? rest : args, { folder: workingFolder() });
  const { callbackUrl, readyFd } = settings.config;
  if (readyFd !== undefined) checkReadyDescriptor(readyFd);
  const proxy = callbackUrl === undefined ? undefined : readProxies()(new URL(callbackUrl));
  if (proxy) checkProxyClient(proxy.variable);
  const exposure = hideSecrets();
  // Starting the engine process takes about as long as loading the HTTP modules here: both run in parallel.
  const engine = forkEngine(engineEnvironment());
  const stops = new StopRequests();
  stops.watchSignals();
  if (!survivesHangup) stops.watchHangup();
  const watched = { stdin: stops.watchStdin(), parent: startedByNpm(), hangup: !survivesHangup };
  if (watched.parent) stops.watchParent();
  const { serve } = await import('./commands/serve/serve.ts');
  return serve({ settings, exposure, version: VERSION, proxy, engine, stops, announceSignal, watched });
}

/** Loads the terminal only for a text: it would delay the start of a worker. */
async function print(text: string): Promise<number> {
  const { Terminal } = await import('./commands/terminal.ts');
  await Terminal.stdout().print(text);
  return 0;
}

async function printError(text: unknown): Promise<void> {
  const { Terminal } = await import('./commands/terminal.ts');
  await Terminal.stderr().print(`rbees-workerd: ${withoutUrlSecrets(String(text))}\n`);
}

function exit(code: number): never {
  closeLostTerminals();
  process.exit(code);
}

main(process.argv.slice(2)).then(exit, async (error: unknown) => {
  const isUsageError = error instanceof ConfigError;
  await printError(isUsageError ? error.message : error instanceof Error ? error.stack : error);
  exit(isUsageError ? 2 : 1);
});
