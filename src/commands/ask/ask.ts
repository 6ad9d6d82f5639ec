/**
 * `rbees-workerd ask`: sends a question to a running worker, or to one that it starts, and shows the answer
 * on standard output and the narration on standard error.
 */
import { WorkerClient } from '../../client/client.ts';
import { ConfigError, readSettings } from '../../config/config.ts';
import { checkAddressSpace } from '../../config/host/address-space.ts';
import { hideSecrets } from '../../config/host/hide-secrets.ts';
import { isAddressSetting } from '../../config/network/address-settings.ts';
import { readClientSettings } from '../../config/network/client-settings.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import type { CommandContext } from '../command.ts';
import { Terminal } from '../terminal.ts';
import { reportUnknown } from '../unknown-settings.ts';
import { type AskArguments, readAskArguments } from './arguments/ask-arguments.ts';
import { readStdin } from './arguments/stdin-text.ts';
import { Interrupted, Interrupts } from './interrupts.ts';
import { Conversation } from './state/conversation.ts';
import { openView, type Streams } from './view/open-view.ts';
import type { View } from './view/view.ts';
import { askOnce, CANCELLED } from './worker/ask-once.ts';
import { OwnWorker } from './worker/own-worker.ts';

/**
 * Runs the command.
 * @returns the exit code: 0 after a complete answer, 1 after a failure, 130 after Ctrl-C
 * @throws ConfigError if the command line, a variable or standard input is wrong
 */
export async function ask(args: readonly string[], context: CommandContext): Promise<number> {
  const task = readAskArguments(args);
  const streams = { out: Terminal.stdout(), err: Terminal.stderr() };
  const interrupts = new Interrupts(streams.out, context.survivesHangup);
  const session = new Session({ task, streams, interrupts, context });
  const forced = interrupts.forced.then((code) => {
    session.kill();
    return code;
  });
  return Promise.race([session.run(), forced]);
}

interface SessionParts {
  readonly task: AskArguments;
  readonly streams: Streams;
  readonly interrupts: Interrupts;
  readonly context: CommandContext;
}

/** One use of the command: a question and its answer, or a chat, with one worker. */
class Session {
  readonly #parts: SessionParts;
  #worker: OwnWorker | undefined;
  #view: View | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  async run(): Promise<number> {
    try {
      return await this.#run();
    } catch (error) {
      this.#endView();
      const { interrupts, streams } = this.#parts;
      if (error instanceof Interrupted) return error.code;
      if (interrupts.ending !== undefined) return interrupts.ending;
      if (error instanceof ConfigError) throw error;
      await streams.err.print(`rbees-workerd: ${messageOf(error)}\n`);
      return 1;
    } finally {
      this.#endView();
      await this.#worker?.stop();
    }
  }

  /** Ends everything at once. */
  kill(): void {
    this.#endView();
    this.#worker?.kill();
  }

  async #run(): Promise<number> {
    const { task, streams, interrupts } = this.#parts;
    const conversation = openConversation(task);
    const question = task.isChat ? task.question : await this.#question();
    if (!task.isChat && question === undefined)
      throw new ConfigError('ask needs a question: ask "Write a haiku about the sea", or ask --chat for several');
    const open = await this.#connect();
    const view = await this.#open();
    const client = await open(view);
    const workerEnded = this.#worker?.ended;
    if (task.isChat) {
      this.#endView();
      const { chat } = await import('./chat/chat.ts');
      const viewing = (next: View | undefined): void => {
        this.#view = next;
      };
      const code = await chat({ task, streams, interrupts, conversation, client, viewing, workerEnded }, question);
      await this.#report(await interrupts.unwritten());
      return interrupts.ending ?? code;
    }
    const outcome = await askOnce({ client, view, task, conversation, interrupts, workerEnded }, question ?? '');
    this.#endView();
    const failure = (await interrupts.unwritten()) ?? outcome.failure;
    await this.#report(failure);
    if (failure === undefined && outcome.code !== 0 && streams.err.isTTY)
      streams.err.write({ style: 'dim', text: CANCELLED }, '\n');
    if (outcome.isComplete) await this.#save(conversation);
    return interrupts.ending ?? outcome.code;
  }

  async #report(failure: string | undefined): Promise<void> {
    if (failure !== undefined) await this.#parts.streams.err.print(`rbees-workerd: ${failure}\n`);
  }

  async #open(): Promise<View> {
    this.#view = await openView(this.#parts.streams, this.#parts.task);
    return this.#view;
  }

  #endView(): void {
    this.#view?.end();
    this.#view = undefined;
  }

  /** The question, with the text of standard input before it. */
  async #question(): Promise<string | undefined> {
    const { task, streams, interrupts } = this.#parts;
    const { question } = task;
    const waiting = (): void => {
      if (streams.err.isTTY) streams.err.write({ style: 'dim', text: 'Reading standard input until its end…' }, '\n');
    };
    const signal = interrupts.begin();
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    stopped.catch(() => undefined);
    const context = (await Promise.race([readStdin(waiting), stopped])) || undefined;
    return context !== undefined && question !== undefined ? `${context}\n\n${question}` : (question ?? context);
  }

  /** Checks the settings at once. Returns a function that connects to the worker. */
  async #connect(): Promise<(view: View) => Promise<WorkerClient>> {
    const { task, context, interrupts } = this.#parts;
    const running = readClientSettings(task);
    if (running.problems.length > 0) throw new ConfigError(running.problems.join('\n'));
    const { url, apiToken } = running;
    if (task.url !== undefined && url !== undefined && task.workerSettings !== undefined)
      throw new ConfigError(
        '--url names a running worker, whose settings are fixed: remove --url, or the settings after --',
      );
    if (url !== undefined && task.workerSettings === undefined) {
      hideSecrets();
      return async () => new WorkerClient({ url, apiToken });
    }
    checkAddressSpace();
    const token = task.apiToken === undefined ? [] : ['--api-token', task.apiToken];
    // The worker of this command is for this machine: the variables of an address belong to another one.
    const reads = (name: string): boolean => name === 'api-token' || !isAddressSetting(name);
    const settings = readSettings([...token, ...(task.workerSettings ?? [])], { reads });
    hideSecrets();
    await reportUnknown(settings.unknown);
    return async (view) => {
      this.#worker = new OwnWorker(context, settings, (sentence) => view.hear(sentence));
      const ready = await untilAborted(this.#worker.url, interrupts.begin());
      return new WorkerClient({ url: ready, apiToken: settings.config.apiToken });
    };
  }

  async #save(conversation: Conversation): Promise<void> {
    const { task, streams } = this.#parts;
    const problem = task.saves && task.request.raw !== true ? conversation.save() : undefined;
    if (problem !== undefined && streams.err.isTTY)
      await streams.err.print(`The conversation is not kept for --continue: ${problem}\n`);
  }
}

/** @throws the reason of the signal */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  return Promise.race([promise, aborted]);
}

/** @throws ConfigError if there is no conversation to continue */
function openConversation({ continues, system }: AskArguments): Conversation {
  const conversation = continues ? Conversation.last() : new Conversation();
  if (!conversation) throw new ConfigError('--continue: there is no earlier conversation; ask without --continue');
  if (system !== undefined) conversation.system = system;
  return conversation;
}
