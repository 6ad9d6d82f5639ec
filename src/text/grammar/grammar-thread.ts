/**
 * Entry of the thread that compiles large grammars, so that the event loop stays free. Processes one job at a
 * time; its parent ends the thread if a job takes too long.
 */
import { parentPort } from 'node:worker_threads';
import { Budget } from '../../grammar/budget.ts';
import { GrammarError } from '../../grammar/grammar-error.ts';
import { reportStarted } from '../../protocol/start/started.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import type { CommonAnswer } from '../thread/job-thread.ts';
import type { CompileAnswer, CompileJob } from './compile-messages.ts';
import { compileSource } from './compile-source.ts';

const post = (answer: CompileAnswer | CommonAnswer): void => parentPort?.postMessage(answer);

parentPort?.on('message', (job: CompileJob) => post(answerTo(job)));
post({ type: 'ready' });
reportStarted();

function answerTo({ source }: CompileJob): CompileAnswer {
  try {
    const parsed = JSON.parse(source);
    return { type: 'compiled', compiled: compileSource(parsed, new Budget(() => performance.now())) };
  } catch (error) {
    if (!(error instanceof GrammarError)) return { type: 'failed', message: messageOf(error) };
    const { problem, path, message } = error;
    return { type: 'refused', problem, path, message };
  }
}
