/**
 * Entry of the thread that encodes long prompts, so that the event loop stays free. Opens its own copy of the
 * tokenizer, then encodes one text at a time. Reads the tokenizer's two files; exchanges messages with its
 * parent.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../protocol/error-message.ts';
import type { ThreadAnswer, ThreadJob } from './encode-thread.ts';
import { openPipeline, type TokenizerFiles } from './tokenizer-files.ts';

const files: TokenizerFiles = workerData;
const pipeline = await openPipeline(files);

parentPort?.on('message', (job: ThreadJob) => {
  parentPort?.postMessage(answer(job));
});

function answer({ text, addSpecialTokens }: ThreadJob): ThreadAnswer {
  try {
    return { ids: pipeline.encode(text, addSpecialTokens) };
  } catch (error) {
    return { failure: messageOf(error) };
  }
}
