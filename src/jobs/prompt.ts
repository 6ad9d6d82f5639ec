/**
 * Turns an order into a sequence for the engine: renders and tokenizes the prompt, and applies the model's
 * defaults and the limits of the context.
 */
import { randomBytes } from 'node:crypto';
import { WorkerError } from '../contract/errors.ts';
import type { LoadedModel } from '../lifecycle/load-model.ts';
import type { SequenceRequest } from '../protocol/messages.ts';
import type { Sampling } from '../protocol/sampling.ts';
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
 * context; `INVALID_REQUEST` if the model's template rejects the messages; or the reason of `signal`
 */
export async function prepare(
  order: GenerationOrder,
  model: LoadedModel,
  cap: number,
  signal: AbortSignal,
): Promise<Prepared> {
  const began = performance.now();
  const { text, addSpecialTokens } = renderPrompt(order, model);
  const prompt = await model.tokenizer.encode(text, { addSpecialTokens, signal });
  const tokenizeMs = performance.now() - began;
  const left = model.facts.context - prompt.length;
  if (left < 1) {
    throw new WorkerError(
      'PROMPT_TOO_LONG',
      `The prompt has ${prompt.length} tokens; prompt and output share ${model.facts.context}.`,
      {
        details: { tokens_in: prompt.length, context_length: model.facts.context },
      },
    );
  }
  if (prompt.length === 0) {
    const violation = { field: 'prompt', constraint: 'min_tokens', message: 'prompt must give at least one token' };
    throw new WorkerError('INVALID_REQUEST', undefined, { violations: [violation] });
  }
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
 * the model has no template.
 */
function renderPrompt(
  { input }: GenerationOrder,
  { template }: LoadedModel,
): { text: string; addSpecialTokens: boolean } {
  if ('messages' in input) {
    if (template) return { text: template.render(input.messages), addSpecialTokens: false };
    const message = 'messages require a model with a chat template; use prompt instead';
    const violation = { field: 'messages', constraint: 'unsupported', message };
    throw new WorkerError('INVALID_REQUEST', undefined, { violations: [violation] });
  }
  if (!template || input.raw) return { text: input.prompt, addSpecialTokens: true };
  return { text: template.render([{ role: 'user', content: input.prompt }]), addSpecialTokens: false };
}

/** The value of the order, otherwise the default of the model. An order without a seed gets a random one. */
function samplingOf(requested: GenerationOrder['sampling'], { spec }: LoadedModel): Sampling {
  return { seed: drawSeed(), ...spec.sampling, ...requested };
}

/** 53 random bits: the range of seeds that a caller can choose. */
function drawSeed(): number {
  return Number(randomBytes(8).readBigUInt64BE() >> 11n);
}
