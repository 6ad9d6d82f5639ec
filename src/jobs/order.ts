/**
 * A request for a generation, independent of the wire format. Each route family converts its bodies to this
 * form.
 */
import type { LogitBias } from '../protocol/logit-bias.ts';
import type { Sampling } from '../protocol/sampling.ts';

export interface GenerationOrder {
  /** Chosen by the caller; unique among the running jobs. */
  readonly jobId: string;
  readonly input: Input;
  /** Name of the chat template; absent: the model's default one. */
  readonly template?: string | undefined;
  /** Maximum number of tokens to generate; absent: the operator's maximum. */
  readonly maxTokens?: number | undefined;
  /** End of sequence is not sampled before this many tokens. */
  readonly minTokens?: number | undefined;
  /** Sampling parameters. For an absent parameter, the model's default is used. */
  readonly sampling: Partial<Sampling>;
  /** Numbers that are added to the logits of these ids; an id at most once. */
  readonly logitBias?: readonly LogitBias[] | undefined;
  /** The model's end of sequence does not end the output: only the other limits do. */
  readonly ignoreEos?: boolean | undefined;
  /** Strings that end the output. The output does not contain them. */
  readonly stop?: readonly string[] | undefined;
  /** Report the log-probability of each token and of this many alternatives. */
  readonly logprobs?: number | undefined;
  /** Milliseconds from acceptance to the end; absent: the operator's limit. */
  readonly timeoutMs?: number | undefined;
  /** Time at which the caller no longer needs the answer, in epoch milliseconds. */
  readonly deadline?: number | undefined;
  /** Effect on the job when the last subscriber leaves before the end. */
  readonly onDisconnect: 'cancel' | 'continue';
  /** Names of fields of the body that the route does not know. A narration lists them. */
  readonly ignoredFields: readonly string[];
}

/** A text, which becomes one user message unless `raw` is true; or a conversation. */
export type Input =
  | { readonly prompt: string; readonly raw: boolean }
  | { readonly messages: readonly { readonly role: 'system' | 'user' | 'assistant'; readonly content: string }[] };

/** UTF-16 units of the texts of an input. */
export function unitsIn(input: Input): number {
  if ('prompt' in input) return input.prompt.length;
  return input.messages.reduce((sum, { content }) => sum + content.length, 0);
}
