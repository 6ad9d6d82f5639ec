/**
 * A request for a generation, independent of the wire format. Each route family converts its bodies to this
 * form.
 */
import type { OutputFormat } from '../grammar/output-format.ts';
import type { LogitBias } from '../protocol/logit-bias.ts';
import type { Sampling } from '../protocol/sampling.ts';
import { type Conversation, conversationUnits, type FunctionTool } from '../text/template/conversation.ts';
import type { ToolUse } from '../text/tools/tool-use.ts';

export interface GenerationOrder {
  /** Chosen by the caller; unique among the running jobs. */
  readonly jobId: string;
  /** The prompts, at least one. Each of them gets `choices` outputs. */
  readonly inputs: readonly Input[];
  /** Number of outputs for each prompt; absent: 1. */
  readonly choices?: number | undefined;
  /**
   * How the output of a conversation is divided into answer, reasoning and tool calls. Absent: the output is
   * one text.
   */
  readonly toolUse?: ToolUse | undefined;
  /** True: `toolUse` applies, but the output stays one text, with the marks of reasoning and calls. */
  readonly undivided?: boolean | undefined;
  /** Name of the chat template; absent: the model's default one. */
  readonly template?: string | undefined;
  /**
   * Maximum number of tokens to generate; absent: the operator's maximum. A number above the operator's
   * maximum, or above the rest of the context, is reduced. 0: the job computes the scores of the prompt only.
   */
  readonly maxTokens?: number | undefined;
  /** End of sequence is not sampled before this many tokens. */
  readonly minTokens?: number | undefined;
  /** The output does not end at an end of sequence. */
  readonly ignoreEos?: boolean | undefined;
  /** Sampling parameters. For an absent parameter, the model's default is used. */
  readonly sampling: Partial<Sampling>;
  /** Numbers that are added to the logits of these ids; an id at most once. */
  readonly logitBias?: readonly LogitBias[] | undefined;
  /** The form of every output. Absent: any text. */
  readonly format?: DemandedFormat | undefined;
  /**
   * Places in the body of the schemas of the tools, such as `tools[0].function.parameters`: the beginnings of
   * the places of their errors. One for each tool of the conversation.
   */
  readonly toolFields?: readonly string[] | undefined;
  /** Strings that end the output. The output does not contain them. */
  readonly stop?: readonly string[] | undefined;
  /** Only orders with the same salt share cached prefixes. */
  readonly cacheSalt?: string | undefined;
  /** Report the log-probability of each token and of this many alternatives. */
  readonly logprobs?: number | undefined;
  /** Report the log-probability of each token of the prompts but the first, and of this many alternatives. */
  readonly promptLogprobs?: number | undefined;
  /** True: the `token` events tell the ids of the output. */
  readonly ids?: boolean | undefined;
  /** The beginning of the only output, which another worker has generated. */
  readonly resume?: ResumeOrder | undefined;
  /** Milliseconds from acceptance to the end; absent: the operator's limit. */
  readonly timeoutMs?: number | undefined;
  /** Time at which the caller no longer needs the answer, in epoch milliseconds. */
  readonly deadline?: number | undefined;
  /** Effect on the job when the last subscriber leaves before the end. */
  readonly onDisconnect: 'cancel' | 'continue';
  /** Names of fields of the body that have no effect. A narration lists them. */
  readonly ignoredFields: readonly string[];
}

/** An output to continue. */
export interface ResumeOrder {
  /** Its ids so far. */
  readonly ids: readonly number[];
  /** Index of the first `token` event that the caller lacks. */
  readonly index: number;
  /** Digest of its model, its prompt and its parameters. */
  readonly fingerprint: string;
}

/** A form of the output, and the field of the request that demands it: the beginning of an error's place. */
export interface DemandedFormat {
  readonly format: OutputFormat;
  readonly field: string;
}

/**
 * A text, which becomes one user message unless `raw` is true; the ids of a text; or a conversation. A raw
 * text has no tools, and gets the special tokens of the tokenizer, unless `addSpecialTokens` is false.
 */
export type Input =
  | {
      readonly prompt: string;
      readonly raw: boolean;
      readonly addSpecialTokens?: boolean;
      readonly tools?: readonly FunctionTool[];
    }
  | { readonly ids: readonly number[] }
  | Conversation;

/** The conversation of a text that becomes one user message. */
export const promptConversation = ({ prompt, tools }: Extract<Input, { prompt: string }>): Conversation => ({
  messages: [{ role: 'user', content: prompt }],
  ...(tools && { tools }),
});

/** Number of outputs of all prompts. */
export const outputsOf = ({ inputs, choices = 1 }: Pick<GenerationOrder, 'inputs' | 'choices'>): number =>
  inputs.length * choices;

/** UTF-16 units of the texts of all inputs. */
export const unitsInAll = ({ inputs }: Pick<GenerationOrder, 'inputs'>): number =>
  inputs.reduce((sum, input) => sum + unitsIn(input), 0);

/** UTF-16 units of the texts of an input. An id counts as one. */
function unitsIn(input: Input): number {
  if ('ids' in input) return input.ids.length;
  if ('messages' in input) return conversationUnits(input);
  const { prompt, tools = [] } = input;
  return prompt.length + conversationUnits({ messages: [], tools });
}
