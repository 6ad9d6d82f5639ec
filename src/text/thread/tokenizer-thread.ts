/**
 * Entry of the thread that renders and encodes prompts, so that the event loop stays free. Opens its own copy
 * of the tokenizer and of the template, then processes one job at a time. Reads the tokenizer's file;
 * exchanges messages with its parent, which ends the thread if a job takes too long.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { WorkerError } from '../../contract/errors.ts';
import { messageOf } from '../../protocol/error-message.ts';
import { ChatTemplate } from '../template/chat-template.ts';
import { EncodeError, MAX_STAGE_UNITS } from '../tokenizer/encode-error.ts';
import { Pipeline } from '../tokenizer/pipeline.ts';
import { naming, readDefinition } from '../tokenizer/tokenizer-files.ts';
import { type EncodeJob, encodeInput } from './encode-input.ts';
import type { ThreadAnswer, ThreadData } from './thread-messages.ts';

const { files, template: source }: ThreadData = workerData;
const port = parentPort;
const post = (answer: ThreadAnswer): void => port?.postMessage(answer);

try {
  const definition = await readDefinition(files);
  const pipeline = naming(files.tokenizerFile, () => new Pipeline(definition));
  const template = source && new ChatTemplate(source);
  port?.on('message', (job: EncodeJob) => post(answerTo(job, pipeline, template)));
  post({ type: 'ready' });
} catch (error) {
  post({ type: 'unusable', message: messageOf(error) });
}

function answerTo(job: EncodeJob, pipeline: Pipeline, template: ChatTemplate | undefined): ThreadAnswer {
  try {
    return { type: 'ids', ids: encodeInput(job, pipeline, template, MAX_STAGE_UNITS) };
  } catch (error) {
    if (error instanceof WorkerError) return { type: 'refused', violations: error.violations ?? [] };
    if (!(error instanceof EncodeError)) return { type: 'failed', message: messageOf(error) };
    const { kind, message, leastTokens } = error;
    return { type: 'not_encoded', kind, message, leastTokens };
  }
}
