/**
 * The thread on which long prompts become ids, so that the event loop stays free. Opens its own copy of the tokenizer, then answers
 * one job after the other. Touches the tokenizer's two files and its parent's messages.
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
