/**
 * Turns an order into a sequence for the engine: renders and tokenizes the prompt, and applies the model's
 * defaults and the limits of the context.
 */
import { randomBytes } from 'node:crypto';
import { WorkerError } from '../contract/errors.ts';
import type { LoadedModel } from '../lifecycle/load-model.ts';
import type { SequenceRequest } from '../protocol/messages.ts';
import type { Sampling } from '../protocol/sampling.ts';
import { EncodeError } from '../text/tokenizer/encode-error.ts';
import type { GenerationOrder } from './order.ts';

/** An order that is ready for the engine. */
export interface Prepared {
  readonly sequence: Omit<SequenceRequest, 'id'>;
  /** Strings that end the output. */
  readonly stops: readonly string[];
  /** Milliseconds to render and tokenize the prompt. */
  readonly tokenizeMs: number;
}

/**
 * Renders and tokenizes the prompt of an order. The engine does not receive it yet.
 * @param cap the operator's maximum number of generated tokens
 * @throws WorkerError `PROMPT_TOO_LONG` with both numbers if the prompt and one token do not fit into the
 *   context; `INVALID_REQUEST` if the model's template rejects the messages, or if template or tokenizer need
 *   too much time, text or memory for them; or the reason of `signal`
 */
export async function prepare(
  order: GenerationOrder,
  model: LoadedModel,
  cap: number,
  signal: AbortSignal,
): Promise<Prepared> {
  const began = performance.now();
  const { context } = model.facts;
  const prompt = await encodePrompt(order, model, signal);
  const tokenizeMs = performance.now() - began;
  const left = context - prompt.length;
  if (left < 1) throw tooLong(`${prompt.length}`, prompt.length, context);
  if (prompt.length === 0) throw invalid('prompt', 'min_tokens', 'prompt must give at least one token');
  const maxTokens = Math.min(order.maxTokens ?? cap, left);
  const sequence = {
    prompt,
    maxTokens,
    minTokens: Math.min(order.minTokens ?? 0, maxTokens),
    endIds: model.spec.eosIds,
    sampling: samplingOf(order.sampling, model),
    ...(order.logprobs !== undefined && { logprobs: order.logprobs }),
  };
  return { sequence, stops: order.stop ?? [], tokenizeMs };
}

/**
 * Applies the chat template to messages, and to a prompt (as one user message) unless the order is `raw` or
 * the model has no template. A prompt that needs all of the context has no room for an output.
 */
async function encodePrompt({ input }: GenerationOrder, model: LoadedModel, signal: AbortSignal): Promise<number[]> {
  const { tokenizer, template, facts } = model;
  const options = { addSpecialTokens: false, mostTokens: facts.context - 1, signal };
  try {
    if ('messages' in input) {
      if (template) return await tokenizer.encode(input.messages, options);
      const message = 'messages require a model with a chat template; use prompt instead';
      throw invalid('messages', 'unsupported', message);
    }
    if (!template || input.raw) return await tokenizer.encode(input.prompt, { ...options, addSpecialTokens: true });
    return await tokenizer.encode([{ role: 'user', content: input.prompt }], options);
  } catch (error) {
    if (!(error instanceof EncodeError)) throw error;
    if (error.kind === 'too_long') throw tooLong(`at least ${error.leastTokens}`, error.leastTokens, facts.context);
    const message = `${error.message}: send a shorter text, or use another model`;
    throw invalid('messages' in input ? 'messages' : 'prompt', error.kind, message);
  }
}

function tooLong(number: string, tokensIn: number, context: number): WorkerError {
  const message = `The prompt has ${number} tokens; prompt and output share ${context}.`;
  return new WorkerError('PROMPT_TOO_LONG', message, { details: { tokens_in: tokensIn, context_length: context } });
}

function invalid(field: string, constraint: string, message: string): WorkerError {
  return new WorkerError('INVALID_REQUEST', undefined, { violations: [{ field, constraint, message }] });
}

/** The value of the order, otherwise the default of the model. An order without a seed gets a random one. */
function samplingOf(requested: GenerationOrder['sampling'], { spec }: LoadedModel): Sampling {
  return { seed: drawSeed(), ...spec.sampling, ...requested };
}

/** 53 random bits: the range of seeds that a caller can choose. */
function drawSeed(): number {
  return Number(randomBytes(8).readBigUInt64BE() >> 11n);
}
