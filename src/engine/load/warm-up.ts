/**
 * The sequence that the engine runs before it serves: it allocates what later runs reuse and compiles the
 * code of every part of a step.
 */
import type { SequenceRequest } from '../../protocol/messages.ts';
import { WARM_UP } from '../../protocol/sampling.ts';
import { PROMPT, promptOf } from './numeric-check.ts';

const TOKENS = 4;

/** A short sequence that uses every rule of the sampler. No request has its id. */
export function warmUpRequest(vocabSize: number, context: number): SequenceRequest {
  const prompt = promptOf(vocabSize, Math.min(PROMPT, context - 1));
  return {
    id: -1,
    prompt,
    maxTokens: Math.min(TOKENS, context - prompt.length),
    minTokens: 0,
    endIds: [],
    sampling: WARM_UP,
  };
}
