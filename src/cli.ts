#!/usr/bin/env node
/**
 * Arguments → one of the commands. The only file that touches process.argv and process.exit.
 */
import { readFileSync } from 'node:fs';
import { forkEngine } from './bridge/child.ts';
import { ConfigError, engineEnvironment, readConfig } from './config/config.ts';
import { settingsHelp } from './config/help.ts';
import { PACKAGE_FILE } from './config/paths.ts';

const VERSION = (JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { version: string }).version;

const HELP = `rbees-workerd ${VERSION}: an LLM worker that tells what it does.

Usage
  rbees-workerd [serve] [settings]     run the worker (the default)
  rbees-workerd ask "<prompt>"         start a worker, send it one prompt, show narration and output
  rbees-workerd pull <org/model>[@revision] [--dtype q4] [--device cuda]
                                       fetch a model from the hub into its cache; --model org/model runs it then.
                                       A model in a folder of its repository is org/model/folder; without a dtype
                                       the weights suit the device, which is the CPU where none is named
  rbees-workerd doctor [--json] [settings]
                                       which devices there are, which would be used, what is missing; exit code 0 when
                                       the one that would be used works
  rbees-workerd --help | --version

Settings, as flag or as environment variable (flag beats environment beats .env beats default)
${settingsHelp()}

The hub's own variables, which are huggingface_hub's too
  HF_TOKEN                             for models that are gated or private
  HF_ENDPOINT                          another hub; default: https://huggingface.co
  HF_HUB_CACHE, HF_HOME                the cache, or the folder with the cache in hub/; default: ~/.cache/huggingface
  HF_HUB_OFFLINE=1                     pull asks nobody: what is in the cache must do
  HF_HUB_DISABLE_SYMLINKS=1            pull copies into the cache's snapshots instead of linking

Exit codes: 0 clean stop; 1 start-up or fatal failure; 2 bad command line or environment.
`;

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) return print(HELP);
  if (args.includes('--version') || args.includes('-v')) return print(`${VERSION}\n`);
  const [first, ...rest] = args;
  if (first === 'ask') {
    const { ask } = await import('./commands/ask/ask.ts');
    return ask(rest, new URL(import.meta.url));
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
    throw new ConfigError(`Unknown command "${first}"; allowed: serve, ask, pull, doctor (or --help).`);
  }
  const config = readConfig(first === 'serve' ? rest : args);
  // The engine process takes about as long to boot as this one takes to load its HTTP side: both at once.
  const engine = forkEngine(engineEnvironment());
  const { serve } = await import('./commands/serve/serve.ts');
  return serve(config, VERSION, engine);
}

/** Waits until the text is out: a pipe takes it later, and the process exits right after. */
function print(text: string): Promise<number> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve(0)));
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const bad = error instanceof ConfigError;
  process.stderr.write(
    bad ? `rbees-workerd: ${error.message}\n` : `rbees-workerd: ${error instanceof Error ? error.stack : error}\n`,
  );
  process.exit(bad ? 2 : 1);
}
