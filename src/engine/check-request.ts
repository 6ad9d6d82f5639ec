/**
 * Checks a request for a sequence against the rules of the protocol, so that an invalid request fails before
 * it reaches the runtime. Pure.
 */
import type { EngineFacts } from '../protocol/loading.ts';
import type { SequenceRequest } from '../protocol/messages.ts';
import {
  describeRange,
  engineRangeOf,
  isInRange,
  SAMPLING,
  SAMPLING_NAMES,
  type Sampling,
} from '../protocol/sampling.ts';

type Limits = Pick<EngineFacts, 'vocabSize' | 'idLimit' | 'context'>;

const isCount = (value: number, min: number, max = Number.MAX_SAFE_INTEGER): boolean =>
  Number.isSafeInteger(value) && value >= min && value <= max;

/** @returns a sentence about the first rule that the request breaks; undefined for a valid request. */
export function checkRequest(request: SequenceRequest, { vocabSize, idLimit, context }: Limits): string | undefined {
  const { prompt, maxTokens, minTokens, endIds, sampling, logprobs } = request;
  if (prompt.length < 1) return 'The prompt has no ids';
  const invalid = prompt.find((id) => !isCount(id, 0, idLimit - 1));
  if (invalid !== undefined) return `The prompt has an id outside the vocabulary of ${idLimit}: ${invalid}`;
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
  const invalid = SAMPLING_NAMES.find((name) => !isInRange(sampling[name], engineRangeOf(SAMPLING[name])));
  return invalid && `${invalid} must be ${describeRange(engineRangeOf(SAMPLING[invalid]))}, not ${sampling[invalid]}`;
}
