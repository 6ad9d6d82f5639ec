/** The engine inside the process of the bench, without bridge, HTTP and text. */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { Engine } from '../dist/engine/engine.js';
import { libraryPath } from '../dist/model/runtime-library.js';
import { GREEDY } from '../dist/protocol/sampling.js';
import { freshPrompt } from './measure.mjs';
import { modelFolder, weightFile } from './models.mjs';

/** Options of an engine for a model file. Drafts are off for the reason given at `workerFlags`. */
export const engineOptions = (modelFile, slots, context) => ({
  runtimeLibrary: libraryPath(),
  candidates: [{ device: 'cpu', modelFile, weightFiles: [realpathSync(modelFile)] }],
  names: {},
  slots,
  context,
  prefillChunk: 'auto',
  threads: 'auto',
  speculation: 'off',
});

/** A sequence of exact length: the counterpart of `job`. */
export const sequence = (prompt, tokens) => ({
  prompt,
  maxTokens: tokens,
  minTokens: tokens,
  endIds: [],
  sampling: GREEDY,
});

/** The ids of a fresh prompt with the byte tokenizer of a random model. */
export const freshIds = (length) => [...Buffer.from(freshPrompt(length))];

/** The engine of a random model. */
export const openEngine = (dtype, slots, context) =>
  new OpenEngine(engineOptions(join(modelFolder(dtype), weightFile(dtype)), slots, context));

/**
 * An engine with the same outcomes as `ask`: `sent`, `tokens` (milliseconds since then), `end`.
 */
export class OpenEngine {
  #engine;
  #running = new Map();
  #lastId = 0;

  constructor(options) {
    this.#engine = Engine.open(options, (message) => {
      if (message.kind === 'report') this.#take(message);
    });
  }

  get facts() {
    return this.#engine.facts;
  }

  run(request) {
    this.#lastId += 1;
    const id = this.#lastId;
    const outcome = { sent: performance.now(), tokens: [], end: undefined };
    return new Promise((resolve, reject) => {
      this.#running.set(id, { outcome, tokensIn: request.prompt.length, resolve, reject });
      this.#engine.submit({ ...request, id });
    });
  }

  close() {
    this.#engine.close();
  }

  #take({ sequences }) {
    const now = performance.now();
    for (const { id, tokens, finish } of sequences) {
      const { outcome, tokensIn, resolve, reject } = this.#running.get(id);
      for (const _ of tokens) outcome.tokens.push(now - outcome.sent);
      if (!finish) continue;
      this.#running.delete(id);
      outcome.end = { tokens_in: tokensIn, tokens_out: outcome.tokens.length, cached_tokens: finish.cachedTokens };
      if (finish.message === undefined) resolve(outcome);
      else reject(new Error(finish.message));
    }
  }
}
