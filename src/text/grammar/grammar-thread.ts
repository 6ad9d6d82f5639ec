/**
 * Entry of the thread that compiles large grammars, so that the event loop stays free. Processes one job at a
 * time; its parent ends the thread if a job takes too long.
 */
import { parentPort } from 'node:worker_threads';
import { Budget, COMPILE_MS, SURE_STEPS } from '../../grammar/budget.ts';
import { GrammarError } from '../../grammar/grammar-error.ts';
import { FORMATS, formatAutomaton } from '../../grammar/regular/formats/formats.ts';
import { reportStarted } from '../../protocol/start/started.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import type { CommonAnswer } from '../thread/thread-role.ts';
import type { CompileAnswer, CompiledSource, CompileJob } from './compile-messages.ts';
import { compileSource } from './compile-source.ts';
import type { GrammarSource } from './source.ts';
import { workClock } from './work-clock.ts';

const post = (answer: CompileAnswer | CommonAnswer): void => parentPort?.postMessage(answer);

parentPort?.on('message', (job: CompileJob) => post(answerTo(job)));
post({ type: 'ready' });
reportStarted();

function answerTo({ source }: CompileJob): CompileAnswer {
  try {
    buildFormats(source);
    return { type: 'compiled', compiled: compiledOf(JSON.parse(source)) };
  } catch (error) {
    if (!(error instanceof GrammarError)) return { type: 'failed', message: messageOf(error) };
    const { problem, path, message } = error;
    return { type: 'refused', problem, path, message };
  }
}

/** Builds the formats that a source can name. They are built once, so their time belongs to no source. */
function buildFormats(source: string): void {
  for (const name of FORMATS) if (source.includes(`"${name}"`)) formatAutomaton(name);
}

/**
 * Compiles a source whose time is over once more: the first attempt may have compiled the code of the
 * compiler itself, which takes longer than most schemas.
 */
function compiledOf(source: GrammarSource): CompiledSource {
  let budget: Budget | undefined;
  const newBudget = (): Budget => {
    budget = new Budget(workClock(), COMPILE_MS, SURE_STEPS);
    return budget;
  };
  try {
    return compileSource(source, newBudget);
  } catch (error) {
    if (!budget?.timeIsOver) throw error;
    return compileSource(source, newBudget);
  }
}
