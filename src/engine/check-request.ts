/** The protocol's rules for a sequence, checked at the engine's door: a request that breaks one fails, and never reaches the runtime. */
import type { EngineFacts } from '../protocol/loading.ts';
import type { Sampling, SequenceRequest } from '../protocol/messages.ts';

type Limits = Pick<EngineFacts, 'vocabSize' | 'context'>;

const isCount = (value: number, least: number, most = Number.MAX_SAFE_INTEGER): boolean =>
  Number.isSafeInteger(value) && value >= least && value <= most;
const isBetween = (value: number, least: number, most: number): boolean => value >= least && value <= most;

/** @returns the first rule that the request breaks, as a sentence, or undefined. */
export function checkRequest(request: SequenceRequest, { vocabSize, context }: Limits): string | undefined {
  const { prompt, maxTokens, minTokens, endIds, sampling, logprobs } = request;
  if (prompt.length < 1) return 'The prompt has no ids';
  const foreign = prompt.find((id) => !isCount(id, 0, vocabSize - 1));
  if (foreign !== undefined) return `The prompt has an id outside the vocabulary of ${vocabSize}: ${foreign}`;
  if (!isCount(maxTokens, 1)) return `maxTokens must be a whole number, at least 1, not ${maxTokens}`;
  if (prompt.length + maxTokens > context)
    return `${prompt.length} ids of prompt and ${maxTokens} to generate do not fit the context of ${context}`;
  if (!isCount(minTokens, 0, maxTokens))
    return `minTokens must be a whole number from 0 to maxTokens, not ${minTokens}`;
  if (!endIds.every((id) => isCount(id, 0))) return 'endIds must be whole numbers, at least 0';
  if (logprobs !== undefined && !isCount(logprobs, 0, vocabSize))
    return `logprobs must be 0 to ${vocabSize}, not ${logprobs}`;
  return checkSampling(sampling);
}

function checkSampling(sampling: Sampling): string | undefined {
  const big = Number.MAX_VALUE;
  const rules: readonly (readonly [keyof Sampling, boolean, string])[] = [
    ['temperature', isBetween(sampling.temperature, 0, big), 'at least 0'],
    ['topK', isCount(sampling.topK, 0), 'a whole number, at least 0'],
    ['topP', isBetween(sampling.topP, 0, 1), 'from 0 to 1'],
    ['minP', isBetween(sampling.minP, 0, 1), 'from 0 to 1'],
    ['repetitionPenalty', sampling.repetitionPenalty > 0 && sampling.repetitionPenalty <= big, 'above 0'],
    ['frequencyPenalty', isBetween(sampling.frequencyPenalty, -big, big), 'a finite number'],
    ['presencePenalty', isBetween(sampling.presencePenalty, -big, big), 'a finite number'],
    ['seed', isCount(sampling.seed, 0), 'a whole number from 0 to 2^53 - 1'],
  ];
  const broken = rules.find(([, holds]) => !holds);
  return broken && `${broken[0]} must be ${broken[2]}, not ${sampling[broken[0]]}`;
}
