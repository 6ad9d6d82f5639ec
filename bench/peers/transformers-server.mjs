/**
 * transformers.js with generate() and a streamer behind Fastify, one generation at a time: two at once would
 * share one thread and interleave their steps, with the same total speed.
 *
 *   transformers-server.mjs <folder of the model> <dtype>
 */
import { availableParallelism } from 'node:os';
import { basename, dirname } from 'node:path';
import { AutoModelForCausalLM, AutoTokenizer, env, Tensor, TextStreamer } from '@huggingface/transformers';
import { serve } from './serve.mjs';

const [folder, dtype] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const tokenizer = await AutoTokenizer.from_pretrained(basename(folder));
const model = await AutoModelForCausalLM.from_pretrained(basename(folder), {
  dtype,
  device: 'cpu',
  session_options: { intraOpNumThreads: availableParallelism() },
});

let last = Promise.resolve();

await serve((ids, count, onToken) => {
  const mine = last.then(() => generate(ids, count, onToken));
  last = mine.catch(() => undefined);
  return mine;
});

async function generate(ids, count, onToken) {
  const row = (values) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, ids.length]);
  const streamer = new TextStreamer(tokenizer, {
    skip_prompt: true,
    // The text callback waits for the end of a word, which random weights never write.
    token_callback_function: (tokens) => onToken(tokenizer.decode(tokens)),
    callback_function: () => undefined,
  });
  await model.generate({
    input_ids: row(ids),
    attention_mask: row(ids.map(() => 1)),
    max_new_tokens: count,
    do_sample: false,
    eos_token_id: null,
    streamer,
  });
}
