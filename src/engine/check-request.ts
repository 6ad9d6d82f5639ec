/**
 * Checks a request for a sequence against the rules of the protocol, so that an invalid request fails before
 * it reaches the runtime. Pure.
 */
import type { Program } from '../grammar/program.ts';
import { childrenOf } from '../grammar/shortest.ts';
import type { EngineFacts } from '../protocol/loading.ts';
import { LOGIT_BIAS_RANGE, MAX_LOGIT_BIASES } from '../protocol/logit-bias.ts';
import type { SequenceRequest } from '../protocol/messages.ts';
import {
  describeRange,
  engineRangeOf,
  isInRange,
  SAMPLING,
  SAMPLING_NAMES,
  type Sampling,
} from '../protocol/sampling.ts';

/** Maximum of `promptLogprobs`: each prompt id is reported with as many alternatives. */
export const MAX_PROMPT_LOGPROBS = 20;

type Limits = Pick<EngineFacts, 'vocabSize' | 'idLimit' | 'context'>;

const isCount = (value: number, min: number, max = Number.MAX_SAFE_INTEGER): boolean =>
  Number.isSafeInteger(value) && value >= min && value <= max;

/** @returns a sentence about the first rule that the request breaks; undefined for a valid request. */
export function checkRequest(request: SequenceRequest, { vocabSize, idLimit, context }: Limits): string | undefined {
  const { prompt, maxTokens, minTokens, endIds, sampling, logprobs, promptLogprobs, copyOf } = request;
  if (prompt.length < 1) return 'The prompt has no ids';
  const invalid = prompt.find((id) => !isCount(id, 0, idLimit - 1));
  if (invalid !== undefined) return `The prompt has an id outside the vocabulary of ${idLimit}: ${invalid}`;
  if (!isCount(maxTokens, 1)) return `maxTokens must be a whole number, at least 1, not ${maxTokens}`;
  if (prompt.length + maxTokens > context)
    return `${prompt.length} ids of prompt and ${maxTokens} to generate do not fit the context of ${context}`;
  if (!isCount(minTokens, 0, maxTokens))
    return `minTokens must be a whole number from 0 to maxTokens, not ${minTokens}`;
  const continued = checkContinued(request, idLimit);
  if (continued !== undefined) return continued;
  if (!endIds.every((id) => isCount(id, 0))) return 'endIds must be whole numbers, at least 0';
  if (logprobs !== undefined && !isCount(logprobs, 0, vocabSize))
    return `logprobs must be 0 to ${vocabSize}, not ${logprobs}`;
  if (promptLogprobs !== undefined && !isCount(promptLogprobs, 0, MAX_PROMPT_LOGPROBS))
    return `promptLogprobs must be 0 to ${MAX_PROMPT_LOGPROBS}, not ${promptLogprobs}`;
  if (copyOf !== undefined && !isCount(copyOf, 0)) return `copyOf must be the id of a sequence, not ${copyOf}`;
  return checkLogitBias(request.logitBias ?? [], idLimit) ?? checkSampling(sampling);
}

/**
 * Checks that a grammar can be run: its nodes and tokens exist. The worker has compiled it, so nothing else
 * is checked.
 * @returns a sentence about the first problem; undefined for a usable grammar.
 */
export function checkProgram({ nodes, root }: Program, idLimit: number): string | undefined {
  if (!isCount(root, 0, nodes.length - 1)) return `The grammar has no node ${root}`;
  for (const node of nodes) {
    const missing = childrenOf(node).find((id) => !isCount(id, 0, nodes.length - 1));
    if (missing !== undefined) return `The grammar has no node ${missing}`;
    if (node.kind === 'token' && !isCount(node.id, 0, idLimit - 1))
      return `The grammar has an id outside the vocabulary of ${idLimit}: ${node.id}`;
  }
  return undefined;
}

function checkContinued({ continued = [], maxTokens, endIds }: SequenceRequest, idLimit: number): string | undefined {
  if (continued.length > maxTokens)
    return `continued must have at most maxTokens (${maxTokens}) ids, not ${continued.length}`;
  const invalid = continued.find((id) => !isCount(id, 0, idLimit - 1));
  if (invalid !== undefined) return `continued has an id outside the vocabulary of ${idLimit}: ${invalid}`;
  const end = continued.find((id) => endIds.includes(id));
  return end === undefined ? undefined : `continued has an end id: ${end}`;
}

function checkLogitBias(biases: NonNullable<SequenceRequest['logitBias']>, idLimit: number): string | undefined {
  if (biases.length > MAX_LOGIT_BIASES)
    return `logitBias must have at most ${MAX_LOGIT_BIASES} ids, not ${biases.length}`;
  const unknown = biases.find(([id]) => !isCount(id, 0, idLimit - 1));
  if (unknown) return `logitBias has an id outside the vocabulary of ${idLimit}: ${unknown[0]}`;
  const invalid = biases.find(([, bias]) => !isInRange(bias, LOGIT_BIAS_RANGE));
  return invalid && `logitBias of id ${invalid[0]} must be ${describeRange(LOGIT_BIAS_RANGE)}, not ${invalid[1]}`;
}

function checkSampling(sampling: Sampling): string | undefined {
  const invalid = SAMPLING_NAMES.find((name) => !isInRange(sampling[name], engineRangeOf(SAMPLING[name])));
  return invalid && `${invalid} must be ${describeRange(engineRangeOf(SAMPLING[invalid]))}, not ${sampling[invalid]}`;
}
