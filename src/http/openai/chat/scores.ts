/** The log-probabilities of a chat's tokens. */
import type { ChoiceEndEvent, TokenEvent } from '../../../jobs/job-events.ts';
import type { TokenReport } from '../../../protocol/messages.ts';
import type { TokenForms } from '../../../text/tokenizer/token-form.ts';
import { jsonLine } from '../shared/chunks.ts';

type Scored = TokenReport & { readonly logprob: number };

/** The entries of `logprobs.content` for the tokens of an event, each as JSON; undefined without scores. */
export function chatScores(event: TokenEvent, tokens: TokenForms): readonly string[] | undefined {
  const { id, logprob, top = [], earlier = [] } = event;
  if (id === undefined || logprob === undefined) return undefined;
  return entriesOf([...earlier, { id, logprob, top }], tokens);
}

/** The entries for the tokens without a text after the last piece of an output. */
export const endScores = ({ unreported = [] }: ChoiceEndEvent, tokens: TokenForms): readonly string[] =>
  entriesOf(unreported, tokens);

function entriesOf(reports: readonly TokenReport[], tokens: TokenForms): readonly string[] {
  const entry = ({ id, logprob }: Scored) => {
    const { text: token, bytes } = tokens.formOf(id);
    return { token, logprob, bytes };
  };
  return reports
    .filter(isScored)
    .map((score) => jsonLine({ ...entry(score), top_logprobs: (score.top ?? []).map(entry) }));
}

/** False for the first token of a prompt, which has no log-probability. */
const isScored = (report: TokenReport): report is Scored => report.logprob !== undefined;
