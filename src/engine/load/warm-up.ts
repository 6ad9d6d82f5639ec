/**
 * The sequence that the engine runs before it serves: it allocates memory that later runs reuse, and makes
 * the code of every part of a step hot.
 */
import type { SequenceRequest } from '../../protocol/messages.ts';
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
    sampling: {
      temperature: 1,
      topK: 40,
      topP: 0.95,
      minP: 0.02,
      repetitionPenalty: 1.1,
      frequencyPenalty: 0.1,
      presencePenalty: 0.1,
      seed: 0,
    },
  };
}
