/** Log-probabilities in the form of OpenAI. */
import type { z } from 'zod';
import type { ResponsesLogprob } from '../../../contract/openai/responses-answer.ts';
import type { TokenEvent } from '../../../jobs/job-events.ts';

export type Logprob = z.output<typeof ResponsesLogprob>;

/** The texts of tokens. */
export interface TokenTexts {
  /** Text of consecutive ids, without special tokens. */
  decode(ids: readonly number[]): string;
  /** Text of a special token; undefined for every other id. */
  specialText(id: number): string | undefined;
}

interface Scored {
  readonly id: number;
  readonly logprob: number;
}

/** The log-probabilities that an event reports: those of its earlier tokens, then its own. */
export function logprobsIn({ id, logprob, top = [], earlier = [] }: TokenEvent, texts: TokenTexts): Logprob[] {
  if (id === undefined || logprob === undefined) return [];
  return [...earlier, { id, logprob, top }].map((token) => ({
    ...likelihoodOf(token, texts),
    top_logprobs: token.top.map((each) => likelihoodOf(each, texts)),
  }));
}

function likelihoodOf({ id, logprob }: Scored, texts: TokenTexts) {
  const token = texts.specialText(id) ?? tokenText(id, texts);
  return { token, bytes: [...Buffer.from(token)], logprob };
}

/** Some decoders strip the first space of a text, and none within it: the second of two equal ids keeps it. */
function tokenText(id: number, texts: TokenTexts): string {
  return texts.decode([id, id]).slice(texts.decode([id]).length);
}
