/**
 * Entry of the thread that encodes long prompts, so that the event loop stays free, and renders the messages
 * that need much work. Opens its own copy of the tokenizer, then processes one job at a time. Reads the
 * tokenizer's file; exchanges messages with its parent, which ends the thread if a job takes too long.
 */
import { parentPort, workerData } from 'node:worker_threads';
import '../../config/zod.ts';
import { WorkerError } from '../../contract/errors.ts';
import { reportStarted } from '../../protocol/start/started.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import type { ChatTemplate } from '../template/chat-template.ts';
import { EncodeError, MAX_STAGE_UNITS } from '../tokenizer/encode-error.ts';
import { Pipeline } from '../tokenizer/pipeline.ts';
import { naming, readDefinition } from '../tokenizer/tokenizer-files.ts';
import type { EncodeJob, ThreadAnswer, ThreadData } from './thread-messages.ts';

const { files, addedTokens, templates }: ThreadData = workerData;
const port = parentPort;
const openTemplate = templateOpener();
const post = (answer: ThreadAnswer): void => port?.postMessage(answer);

void start();

async function start(): Promise<void> {
  try {
    const definition = await readDefinition(files, addedTokens);
    const pipeline = await naming(files.tokenizerFile, () => Pipeline.of(definition));
    port?.on('message', async (job: EncodeJob) => post(await answerTo(job, pipeline)));
    post({ type: 'ready' });
    reportStarted();
  } catch (error) {
    post({ type: 'unusable', message: messageOf(error) });
  }
}

async function answerTo(job: EncodeJob, pipeline: Pipeline): Promise<ThreadAnswer> {
  const { input, template, addSpecialTokens, mostTokens } = job;
  try {
    const text = typeof input === 'string' ? input : (await openTemplate(template)).render(input);
    const ids = pipeline.encode(text, addSpecialTokens, { units: MAX_STAGE_UNITS, tokens: mostTokens });
    return { type: 'ids', ids };
  } catch (error) {
    if (error instanceof WorkerError) return { type: 'refused', violations: error.violations ?? [] };
    if (!(error instanceof EncodeError)) return { type: 'failed', message: messageOf(error) };
    const { kind, message, leastTokens } = error;
    return { type: 'not_encoded', kind, message, leastTokens };
  }
}

/** Loads the code of templates at the first use: few threads need it. */
function templateOpener(): (name: string | undefined) => Promise<ChatTemplate> {
  const opened = new Map<string, ChatTemplate>();
  return async (name) => {
    const source = templates.find((one) => one.name === name);
    if (!source) throw new Error('Messages need a chat template, and the tokenizer was opened without this one.');
    const { ChatTemplate } = await import('../template/chat-template.ts');
    const template = opened.get(source.name) ?? new ChatTemplate(source);
    opened.set(source.name, template);
    return template;
  };
}
