/** `ask --chat`: a conversation with a person, line by line, until `/exit` or the end of the input. */
import type { WorkerClient } from '../../../client/client.ts';
import type { AskArguments } from '../arguments/ask-arguments.ts';
import type { Interrupts } from '../interrupts.ts';
import type { Conversation } from '../state/conversation.ts';
import { History } from '../state/history.ts';
import { openView, type Streams } from '../view/open-view.ts';
import type { View } from '../view/view.ts';
import { askOnce, CANCELLED } from '../worker/ask-once.ts';
import { type ChatState, runCommand } from './chat-commands.ts';
import { LineReader } from './line-reader.ts';

const PROMPT = '> ';
const BLOCK = '"""';
const BLOCK_PROMPT = '… ';

export interface ChatParts {
  readonly task: AskArguments;
  readonly streams: Streams;
  readonly interrupts: Interrupts;
  readonly conversation: Conversation;
  readonly client: WorkerClient;
  /** Called with each open view, and with undefined when it has ended. */
  readonly viewing: (view: View | undefined) => void;
  readonly workerEnded: AbortSignal | undefined;
}

/**
 * Runs the chat.
 * @param first a question that the command line gives
 * @returns the exit code
 */
export async function chat(parts: ChatParts, first: string | undefined): Promise<number> {
  const { interrupts, streams } = parts;
  const history = new History(parts.task.saves);
  const reader = new LineReader(streams, {
    history: history.newestFirst,
    interrupted: () => streams.err.write('\n', { style: 'dim', text: 'Ctrl-D or /exit leaves the chat.' }, '\n'),
  });
  const ended = new Promise<undefined>((resolve) => {
    interrupts.onEnding(() => resolve(undefined));
  });
  const state: ChatState = { conversation: parts.conversation, request: parts.task.request };
  if (reader.isInteractive) streams.err.write({ style: 'dim', text: '/help lists the commands, Ctrl-D leaves.' }, '\n');
  try {
    if (first !== undefined) await answer(parts, state, first);
    while (interrupts.ending === undefined) {
      const line = await Promise.race([question(reader), ended]);
      if (line === undefined) break;
      if (line.trim() === '') continue;
      history.add(line);
      if (!line.startsWith('/')) await answer(parts, state, line);
      else {
        const reply = runCommand(state, line);
        if (reply === undefined) break;
        streams.err.write({ style: 'dim', text: reply }, '\n');
      }
    }
    return interrupts.ending ?? 0;
  } finally {
    reader.close();
  }
}

/** A line, or the lines between two `"""`. Undefined at the end of the input. */
async function question(reader: LineReader): Promise<string | undefined> {
  const line = await reader.next(PROMPT);
  if (!line?.trimStart().startsWith(BLOCK)) return line;
  const lines = [line.trimStart().slice(BLOCK.length)];
  while (!lines.at(-1)?.trimEnd().endsWith(BLOCK)) {
    const next = await reader.next(BLOCK_PROMPT);
    if (next === undefined) break;
    lines.push(next);
  }
  return lines.join('\n').trimEnd().replace(/"""$/, '').trim();
}

/** Asks one question. A failure is shown, and the chat goes on. */
async function answer(parts: ChatParts, { conversation, request }: ChatState, text: string): Promise<void> {
  const { client, interrupts, streams, task, viewing, workerEnded } = parts;
  const view = await openView(streams, task);
  viewing(view);
  const outcome = await askOnce({ client, view, task: { request }, conversation, interrupts, workerEnded }, text);
  view.end();
  viewing(undefined);
  if (outcome.failure !== undefined) streams.err.write({ style: 'red', text: outcome.failure }, '\n');
  else if (!outcome.isComplete) streams.err.write({ style: 'dim', text: CANCELLED }, '\n');
  else if (task.saves) conversation.save();
}
