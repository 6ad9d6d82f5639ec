/** The log-probabilities of a chat's tokens. */
import type { TokenEvent } from '../../../jobs/job-events.ts';
import type { Tokenizer } from '../../../text/tokenizer/tokenizer.ts';
import { jsonLine } from '../shared/chunks.ts';

/** The part of a tokenizer that log-probabilities use. */
export type TokenForms = Pick<Tokenizer, 'formOf'>;

interface Score {
  readonly id: number;
  readonly logprob: number;
}

/** The entries of `logprobs.content` for the tokens of an event, each as JSON; undefined without scores. */
export function chatScores(event: TokenEvent, tokens: TokenForms): readonly string[] | undefined {
  const { id, logprob, top = [], earlier = [] } = event;
  if (id === undefined || logprob === undefined) return undefined;
  const entry = ({ id, logprob }: Score) => {
    const { text: token, bytes } = tokens.formOf(id);
    return { token, logprob, bytes };
  };
  return [...earlier, { id, logprob, top }].map((score) =>
    jsonLine({ ...entry(score), top_logprobs: score.top.map(entry) }),
  );
}
