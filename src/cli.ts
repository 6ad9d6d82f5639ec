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
import { checkAddressSpace, checkProxyClient, hasWasmOptions, wasmOptions } from './config/host/address-space.ts';
import { workingFolder } from './config/host/folder.ts';
import { hangupEnvironment, ignoresHangup } from './config/host/hangup.ts';
import { hideSecrets } from './config/host/hide-secrets.ts';
import { checkReadyDescriptor } from './config/host/ready-descriptor.ts';
import { readProxies } from './config/network/proxy-settings.ts';
import { CLI_ENTRY, PACKAGE_FILE } from './config/paths.ts';
import { tracesWanted } from './config/traces/wanted.ts';
import { AnnounceSignal } from './lifecycle/callback/announce-signal.ts';
import { StopRequests } from './lifecycle/stop-requests.ts';
import { withoutUrlSecrets } from './protocol/text/url-text.ts';

const VERSION = (JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { version: string }).version;

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  const asksFor = (...flags: readonly string[]): boolean => {
    const end = args.indexOf('--');
    return args.some((argument, index) => flags.includes(argument) && (end === -1 || index < end));
  };
  const isAll = asksFor('--help-all');
  if (isAll || asksFor('--help', '-h')) {
    const { helpText } = await import('./commands/overview.ts');
    return print(await helpText(first, isAll, VERSION));
  }
  if (asksFor('--version', '-v')) return print(`${VERSION}\n`);
  const survivesHangup = ignoresHangup();
  if (survivesHangup) process.on('SIGHUP', () => undefined);
  if (first === undefined || first === 'serve' || first.startsWith('-'))
    return runWorker(first === 'serve' ? rest : args, survivesHangup);
  const { COMMANDS, commandNamed, SERVE } = await import('./commands/table.ts');
  const { usesHttpClient, load } = commandNamed(first);
  if (usesHttpClient && wasmOptions().length > 0 && !hasWasmOptions()) {
    const { runAgain } = await import('./commands/again.ts');
    return runAgain({ cli: CLI_ENTRY, args, options: wasmOptions(), environment: hangupEnvironment(survivesHangup) });
  }
  const command = await load();
  return command.run(rest, { cli: CLI_ENTRY, version: VERSION, survivesHangup, commands: [SERVE, ...COMMANDS] });
}

/** Runs `serve`. @param args its settings */
async function runWorker(args: readonly string[], survivesHangup: boolean): Promise<number> {
  checkAddressSpace();
  const announceSignal = new AnnounceSignal();
  const settings = readSettings(args, { folder: workingFolder() });
  const { callbackUrl, readyFd } = settings.config;
  if (readyFd !== undefined) checkReadyDescriptor(readyFd);
  const proxy = callbackUrl === undefined ? undefined : readProxies()(new URL(callbackUrl));
  if (proxy) checkProxyClient(proxy.variable);
  const tracing = tracesWanted() ? (await import('./config/traces/trace-settings.ts')).readTraceSettings() : undefined;
  const exposure = hideSecrets();
  // Starting the engine process takes about as long as loading the HTTP modules here: both run in parallel.
  const engine = forkEngine(engineEnvironment());
  const stops = new StopRequests();
  stops.watchSignals();
  if (!survivesHangup) stops.watchHangup();
  const watched = { stdin: stops.watchStdin(), parent: startedByNpm(), hangup: !survivesHangup };
  if (watched.parent) stops.watchParent();
  const { serve } = await import('./commands/serve/serve.ts');
  const traces = tracing && (await import('./commands/serve/traces.ts')).tracesOf(tracing);
  return serve({ settings, exposure, version: VERSION, proxy, traces, engine, stops, announceSignal, watched });
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
  const { OutputError } = await import('./commands/terminal.ts');
  const isUsageError = error instanceof ConfigError;
  const isExplained = isUsageError || error instanceof OutputError;
  await printError(isExplained ? error.message : error instanceof Error ? error.stack : error);
  exit(isUsageError ? 2 : 1);
});
