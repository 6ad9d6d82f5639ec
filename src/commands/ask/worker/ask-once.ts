/** One question and its answer: sends the job, shows its events, and cancels it when the user stops. */
import { v7 as uuid } from 'uuid';
import type { JobRequest, WorkerClient } from '../../../client/client.ts';
import { ConnectionError, RefusedError } from '../../../client/errors.ts';
import { linkedTo } from '../../../client/pause.ts';
import type { Run } from '../../../client/run.ts';
import type { AskArguments } from '../arguments/ask-arguments.ts';
import { Interrupted, type Interrupts } from '../interrupts.ts';
import type { Conversation } from '../state/conversation.ts';
import type { View } from '../view/view.ts';

/** Time for a cancelled job to end its stream, in milliseconds. */
export const CANCEL_WAIT_MS = 3000;

/** The sentence for an answer that the user has stopped. */
export const CANCELLED = 'The answer was cancelled.';

export interface Asking {
  readonly client: WorkerClient;
  readonly view: View;
  readonly task: Pick<AskArguments, 'request'>;
  readonly conversation: Conversation;
  readonly interrupts: Interrupts;
  /** Fires when the worker has ended. Absent: the worker is not of this command. */
  readonly workerEnded: AbortSignal | undefined;
}

export interface Outcome {
  /** The exit code. */
  readonly code: number;
  /** True if the conversation has the question and its answer. */
  readonly isComplete: boolean;
  /** The reason of a failure, for the user. */
  readonly failure?: string;
}

/** Asks, and adds a complete answer to the conversation. */
export async function askOnce(asking: Asking, question: string): Promise<Outcome> {
  const { client, view, conversation, interrupts, workerEnded } = asking;
  const signal = interrupts.begin();
  const { controller: lost, unlink } = linkedTo(workerEnded);
  const run = client.execute(requestOf(asking, question), { signal: lost.signal });
  const stop = (): void => {
    run.cancel().catch(() => undefined);
    setTimeout(() => lost.abort(signal.reason), CANCEL_WAIT_MS).unref();
  };
  if (signal.aborted) throw signal.reason;
  signal.addEventListener('abort', stop, { once: true });
  try {
    const { answer, failure } = await show(run, view);
    if (signal.aborted) return stopped(signal);
    if (failure !== undefined) return failed(failure);
    conversation.add(question, answer);
    return { code: 0, isComplete: true };
  } catch (error) {
    if (signal.aborted) return stopped(signal);
    if (error instanceof RefusedError) return failed(`${error.code}: ${withRetry(error)}`);
    if (error instanceof ConnectionError) return failed(error.message);
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    unlink();
  }
}

function requestOf({ task, conversation }: Asking, question: string): JobRequest {
  const messages = conversation.withQuestion(question);
  const { request } = task;
  // A plain question is a prompt: `raw` applies to prompts only.
  const content = messages.length === 1 ? { prompt: question } : { messages: [...messages] };
  const parts = request.raw === true ? {} : { parts: true };
  return { ...parts, ...request, job_id: request.job_id ?? `ask-${uuid().slice(-8)}`, ...content };
}

async function show(run: Run, view: View): Promise<{ answer: string; failure?: string }> {
  let answer = '';
  for await (const event of run) {
    view.show(event);
    if (event.type === 'token' && event.part === undefined) answer += event.t;
    if (event.type === 'error') return { answer, failure: `${event.code}: ${withRetry(event)}` };
  }
  return { answer };
}

const withRetry = ({ message, retry }: { readonly message: string; readonly retry: string }): string =>
  retry === 'never' ? message : `${message}${/[.!?]$/.test(message) ? '' : '.'} Try again.`;

const failed = (failure: string): Outcome => ({ code: 1, isComplete: false, failure });

/** A reader of stdout that has read enough stops the answer with code 0. */
const stopped = ({ reason }: AbortSignal): Outcome => ({
  code: reason instanceof Interrupted ? reason.code : 1,
  isComplete: false,
});
