/**
 * `rbees-workerd launch <agent>`: prints the command that starts an agent with a worker as its model, or runs
 * it. Changes no file of the user.
 */
import { spawn } from 'node:child_process';
import { ConfigError } from '../../config/config.ts';
import { userEnvironment } from '../../config/host/user-environment.ts';
import { harmless } from '../../narration/sanitize.ts';
import { messageOf, shorten } from '../../protocol/text/error-message.ts';
import { childExit } from '../child-exit.ts';
import type { Command } from '../command.ts';
import { Terminal } from '../terminal.ts';
import { readWorkerArguments, type WorkerArguments, workerFlagsHelp } from '../workers/command-line.ts';
import { NoWorkerError, oneWorker } from '../workers/local-workers.ts';
import type { WorkerRow } from '../workers/worker-row.ts';
import { AGENTS, type Agent, type AgentSetup } from './agents.ts';
import { shellCommand } from './shell-command.ts';

const NAMES = AGENTS.map(({ name }) => name);

const HELP = `rbees-workerd launch <agent> [--run] [flags] [-- <arguments of the agent>]

Configures an agent for a running worker: prints the command that starts it.
Agents: ${NAMES.join(', ')}

  --run                start the agent now, in this terminal
${workerFlagsHelp('default: the worker of this machine, if there is one')}

No configuration file is read or changed. The printed command has the token of
the worker as a reference to RBEES_API_TOKEN, and never its text.

Agents need a model with tool calls, a context of 16000 tokens, and two slots.

Exit codes: that of the agent with --run, 127 if it is not installed; otherwise
0 success; 1 no worker answers; 2 wrong command line.
`;

const LINE = { command: 'launch', switches: ['run'], most: 1 } as const;
/** As a shell reports a program that it does not find. */
const NOT_FOUND = 127;
/** Prompts of agents have 25 to 60 KB. */
const LEAST_CONTEXT = 16_000;
const LEAST_SLOTS = 2;

export const launchCommand: Command = { help: () => HELP, words: () => NAMES, run };

async function run(args: readonly string[]): Promise<number> {
  const environment = userEnvironment();
  const given = readWorkerArguments(args, LINE);
  const agent = agentNamed(given.positionals[0]);
  try {
    const { row } = await oneWorker(given.selection);
    const target = targetOf(row, given);
    for (const note of notesOn(row)) await Terminal.stderr().print(`${note}\n`);
    const setup = agent.setup(target);
    const complete = { ...setup, args: [...setup.args, ...given.rest] };
    if (given.switches.has('run'))
      return await start(agent, complete, { environment, token: given.selection.apiToken });
    const head = `# ${agent.title} with the worker ${row.worker_id} at ${row.url}, model ${target.model}`;
    await Terminal.stdout().print(`${harmless(head)}\n${shellCommand(agent.command, complete)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof NoWorkerError)) throw error;
    await Terminal.stderr().print(`${error.message}\n`);
    return 1;
  }
}

function agentNamed(name: string | undefined): Agent {
  const agent = AGENTS.find((one) => one.name === name);
  if (agent) return agent;
  const given = name === undefined ? 'the agent is missing' : `${shorten(JSON.stringify(name), 200)} is not allowed`;
  throw new ConfigError(`launch: ${given}; allowed: ${NAMES.join(', ')}`);
}

/** @throws NoWorkerError while the worker loads its model */
function targetOf({ url, model }: WorkerRow, { selection }: WorkerArguments) {
  if (model === undefined) throw new NoWorkerError(`${url} is still loading its model: try again when it is ready.`);
  // The worker accepts any name, so a name without hidden characters is as good.
  return { url, model: harmless(model), hasToken: selection.apiToken !== undefined };
}

function notesOn({ context_length: context = 0, slots, tools }: WorkerRow): string[] {
  return [
    ...(context < LEAST_CONTEXT
      ? [`The context of this worker has ${context} tokens; agents need ${LEAST_CONTEXT} or more.`]
      : []),
    ...((slots?.total ?? 0) < LEAST_SLOTS ? ['This worker has one slot; agents send two requests at once.'] : []),
    ...(tools === undefined ? ['The model has no chat template, so it does not know tool calls.'] : []),
  ];
}

/** The environment of a started agent besides its configuration. */
interface Surroundings {
  readonly environment: NodeJS.ProcessEnv;
  readonly token: string | undefined;
}

/** Runs the agent with the terminal of this process. Resolves with its exit code. */
async function start(
  { command, title, install }: Agent,
  { args, variables }: AgentSetup,
  { environment, token = '' }: Surroundings,
): Promise<number> {
  const values = Object.entries(variables).map(([name, value]) => [name, typeof value === 'string' ? value : token]);
  const env = { ...environment, ...Object.fromEntries(values) };
  try {
    return await childExit(spawn(command, [...args], { stdio: 'inherit', env }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isMissing = code === 'ENOENT';
    const reason = isMissing ? `${command} is not in PATH. Install it: ${install}` : messageOf(error);
    await Terminal.stderr().print(`${title} cannot start: ${reason}\n`);
    return isMissing ? NOT_FOUND : 1;
  }
}
