/**
 * From a checked request to the numbers the engine gets: template, tokenizer, the model's defaults, what the context leaves.
 */
import { randomBytes } from 'node:crypto';
import { WorkerError } from '../contract/errors.ts';
import type { ExecuteRequest } from '../contract/execute.ts';
import { samplingIn } from '../contract/sampling-fields.ts';
import type { LoadedModel } from '../lifecycle/load-model.ts';
import type { SequenceRequest } from '../protocol/messages.ts';
import type { Sampling } from '../protocol/sampling.ts';

export interface Prepared {
  readonly sequence: Omit<SequenceRequest, 'id'>;
  readonly stops: readonly string[];
  /** Milliseconds to render and tokenize the prompt. */
  readonly tokenizeMs: number;
}

/**
 * @param cap highest `max_tokens` of a request
 * @throws WorkerError `PROMPT_TOO_LONG` with both numbers when prompt and one token do not fit the context, `INVALID_REQUEST` when the
 * model's template refuses the messages.
 */
export async function prepare(
  request: ExecuteRequest,
  model: LoadedModel,
  cap: number,
  signal: AbortSignal,
): Promise<Prepared> {
  const began = performance.now();
  const { text, addSpecialTokens } = renderPrompt(request, model);
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
  const maxTokens = Math.min(request.max_tokens ?? cap, left);
  const sequence = {
    prompt,
    maxTokens,
    minTokens: Math.min(request.min_tokens ?? 0, maxTokens),
    endIds: model.spec.eosIds,
    sampling: samplingOf(request, model),
    ...(request.logprobs !== undefined && { logprobs: request.logprobs }),
  };
  return { sequence, stops: request.stop ?? [], tokenizeMs };
}

/** A prompt is wrapped as one user message if the model has a template and `raw` is not asked for. */
function renderPrompt(request: ExecuteRequest, { template }: LoadedModel): { text: string; addSpecialTokens: boolean } {
  if (request.messages) {
    if (template) return { text: template.render(request.messages), addSpecialTokens: false };
    const violation = {
      field: 'messages',
      constraint: 'unsupported',
      message: 'messages need a model with a chat template; give prompt',
    };
    throw new WorkerError('INVALID_REQUEST', undefined, { violations: [violation] });
  }
  const prompt = request.prompt ?? '';
  if (!template || request.raw === true) return { text: prompt, addSpecialTokens: true };
  return { text: template.render([{ role: 'user', content: prompt }]), addSpecialTokens: false };
}

/** The value of the request, else the default of the model. A request without a seed gets a random one. */
function samplingOf(request: ExecuteRequest, { spec }: LoadedModel): Sampling {
  return { seed: drawSeed(), ...spec.sampling, ...samplingIn(request) };
}

/** 53 random bits: every seed a caller may give. */
function drawSeed(): number {
  return Number(randomBytes(8).readBigUInt64BE() >> 11n);
}
