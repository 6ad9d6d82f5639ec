/** Log-probabilities in the form of OpenAI. */
import type { z } from 'zod';
import type { ResponsesLogprob } from '../../../contract/openai/responses/answer.ts';
import type { TokenEvent } from '../../../jobs/job-events.ts';
import type { TokenForms } from '../../../text/tokenizer/token-form.ts';

export type Logprob = z.output<typeof ResponsesLogprob>;

interface Scored {
  readonly id: number;
  readonly logprob: number;
}

/** The log-probabilities that an event reports: those of its earlier tokens, then its own. */
export function logprobsIn({ id, logprob, top = [], earlier = [] }: TokenEvent, tokens: TokenForms): Logprob[] {
  if (id === undefined || logprob === undefined) return [];
  return [...earlier, { id, logprob, top }].map((token) => ({
    ...likelihoodOf(token, tokens),
    top_logprobs: token.top.map((each) => likelihoodOf(each, tokens)),
  }));
}

function likelihoodOf({ id, logprob }: Scored, tokens: TokenForms) {
  const { text: token, bytes } = tokens.formOf(id);
  return { token, bytes: [...bytes], logprob };
}
