/**
 * node-llama-cpp behind Fastify: one context with as many sequences as slots, which its batching decodes
 * together, and a queue for further jobs. It runs on the CPU with the prebuilt binary of the package, on all
 * cores, greedy. A sequence is cleared before each job.
 *
 *   llama-server.mjs <model.gguf> <sequences> <tokens per sequence>
 */
import { availableParallelism } from 'node:os';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import { serve } from './serve.mjs';

const [modelPath, sequences, contextSize] = process.argv.slice(2);
const threads = availableParallelism();
const llama = await getLlama({
  gpu: false,
  build: 'never',
  // Without this it warns about the dummy vocabulary of the random models. The bench ignores their text.
  logLevel: LlamaLogLevel.error,
  progressLogs: false,
  maxThreads: threads,
});
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({
  sequences: Number(sequences),
  contextSize: Number(contextSize),
  batchSize: 512,
  threads,
});
const free = Array.from({ length: Number(sequences) }, () => context.getSequence());
const waiting = [];

await serve(async (ids, count, onToken) => {
  const sequence = free.pop() ?? (await new Promise((resolve) => waiting.push(resolve)));
  try {
    await sequence.clearHistory();
    let made = 0;
    for await (const token of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
      onToken(model.detokenize([token]));
      made += 1;
      if (made === count) break;
    }
  } finally {
    const next = waiting.shift();
    if (next) next(sequence);
    else free.push(sequence);
  }
});
