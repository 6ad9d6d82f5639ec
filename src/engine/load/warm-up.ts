/**
 * The request of the warm-up sequence, which the engine runs before it serves. The warm-up allocates memory
 * that later runs reuse, and lets V8 compile the code of every part of a step. Pure.
 */
import type { SequenceRequest } from '../../protocol/messages.ts';
import { WARM_UP } from '../../protocol/sampling.ts';
import { PROMPT_LENGTH, promptOf } from './numeric-check.ts';

const TOKENS = 4;

/** A request for a short sequence that uses every rule of the sampler. No other request has its id, -1. */
export function warmUpRequest(idLimit: number, context: number): SequenceRequest {
  const prompt = promptOf(idLimit, Math.min(PROMPT_LENGTH, context - 1));
  return {
    id: -1,
    prompt,
    maxTokens: Math.min(TOKENS, context - prompt.length),
    minTokens: 0,
    endIds: [],
    sampling: WARM_UP,
  };
}
