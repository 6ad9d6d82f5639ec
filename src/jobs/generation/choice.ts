/**
 * One output of a generation: its tokens become text, and the text becomes parts. Counts the tokens. Emits
 * nothing.
 */

import type { Submission } from '../../bridge/client.ts';
import type { StopReasonOfOutput } from '../../contract/job-states.ts';
import type { Finish, TokenReport } from '../../protocol/messages.ts';
import type { OutputTrace } from '../../telemetry/traces/output-trace.ts';
import { MAX_PENDING_TOKENS, OutputText, type Piece } from '../../text/output/output-text.ts';
import type { OutputParser, OutputPart } from '../../text/output/parts.ts';
import type { Prepared, PreparedPrompt } from '../prompt.ts';

/** The first slot of an output. */
export interface FirstSlot {
  /** Milliseconds that the output waited for it. */
  readonly queueMs: number;
  /** Tokens of `inputTokens` that the slot had already. */
  readonly cachedTokens: number;
}

/** A part of an output, and the tokens that it reports. */
export interface PartPiece {
  readonly part: OutputPart;
  readonly tokens: readonly TokenReport[];
  /** Ids of the tokens since the last piece that has any, up to the one that completed this piece. */
  readonly ids?: readonly number[];
}

export class Choice {
  /** Index of the output in its job. */
  readonly index: number;
  /** Index of its prompt in the job. */
  readonly promptIndex: number;
  readonly prompt: PreparedPrompt;
  readonly #output: OutputText;
  readonly #parser: OutputParser | undefined;
  readonly #controller = new AbortController();
  /** Scored tokens that the next part reports; the parser may hold their text back. */
  #unreported: TokenReport[] = [];
  readonly #ids: number[] = [];
  /** Number of the ids that are in pieces, or that the caller of a resumed output has. */
  #told = 0;
  /** Number of the first ids, which an earlier sequence has generated. */
  #resumed = 0;
  #flushed = false;
  /** True if the worker has ended the output: at a stop string, or after its only tool call. */
  stopped = false;
  /** How the engine ended the sequence of a complete output; undefined before, and for any other end. */
  finish: Finish | undefined;
  /** Undefined until its sequence has got a slot. */
  firstSlot: FirstSlot | undefined;
  /** True while its sequence has a slot. */
  hasSlot = false;
  reasoningTokens = 0;
  /** The spans of its phases; undefined before its sequence is submitted, and without traces. */
  trace: OutputTrace | undefined;

  /** @param stops strings that end the output */
  constructor(index: number, promptIndex: number, prompt: PreparedPrompt, stops: readonly string[]) {
    this.index = index;
    this.promptIndex = promptIndex;
    this.prompt = prompt;
    this.#output = new OutputText(prompt.decoder, stops, prompt.continued);
    this.#parser = prompt.parser?.();
  }

  get tokensOut(): number {
    return this.#ids.length;
  }

  /** The ids of the output so far. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  /** The sequence for the engine: the rest of a resumed output. */
  get submission(): Submission {
    const { sequence } = this.prompt;
    if (this.#resumed === 0) return sequence;
    const continued = this.#ids.slice(0, this.#resumed);
    if (!this.full && !this.#flushed) return { ...sequence, continued };
    // The output is complete: the engine has nothing to generate.
    const { grammar: _, minTokens, ...rest } = sequence;
    return { ...rest, continued, maxTokens: continued.length, minTokens: Math.min(minTokens, continued.length) };
  }

  /** Tokens that the engine computes before it draws the next one. */
  get inputTokens(): number {
    return this.prompt.sequence.prompt.length + this.#resumed;
  }

  /** Cancels this output only. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(): void {
    this.#controller.abort();
  }

  /** The stop string that was matched. */
  get matched(): string | undefined {
    return this.#output.stopped;
  }

  /** True if the output takes no more tokens. */
  get full(): boolean {
    return this.#output.stopped !== undefined || this.#parser?.done === true;
  }

  /** Why a complete output has ended. */
  get endReason(): StopReasonOfOutput {
    if (this.stopped) return this.matched === undefined ? 'eos' : 'stop_sequence';
    const { maxTokens } = this.prompt.sequence;
    // The engine ends a resumed output that is complete at its last id. The output may end before it has one.
    if (this.#resumed === 0) return this.finish?.reason === 'max_tokens' ? 'max_tokens' : 'eos';
    return this.finish?.reason !== 'eos' && this.#ids.length >= maxTokens ? 'max_tokens' : 'eos';
  }

  get toolCalls(): number {
    return this.#parser?.calls ?? 0;
  }

  /** Texts that looked like a tool call and could not be parsed, in full or in part. */
  get unparsedCalls(): number {
    return this.#parser?.unparsed ?? 0;
  }

  /** Tokens that no part has reported, of a complete output: they have no text. */
  get unreported(): readonly TokenReport[] {
    return [...this.#unreported, ...this.#output.waiting];
  }

  /** Adds a token. Returns the parts that it completes. */
  push(token: TokenReport): readonly PartPiece[] {
    this.#ids.push(token.id);
    const pieces = this.#pieces(this.#output.push(token));
    if (this.#parser?.reasoning) this.reasoningTokens += 1;
    return this.#withIds(pieces);
  }

  /** Call after the ids of an earlier sequence have been pushed: the caller has them. */
  resume(): void {
    this.#told = this.#ids.length;
    this.#resumed = this.#ids.length;
  }

  /** Ends the output. Returns its last parts; a second call returns none. */
  flush(): readonly PartPiece[] {
    if (this.#flushed) return [];
    this.#flushed = true;
    const pieces = this.#pieces(this.#output.flush());
    const rest = this.#parser?.finish(this.endReason === 'eos') ?? [];
    return this.#withIds([...pieces, ...this.#withTokens(rest)]);
  }

  /** The first piece tells the new ids. */
  #withIds(pieces: readonly PartPiece[]): readonly PartPiece[] {
    const [first, ...others] = pieces;
    if (!first) return pieces;
    const ids = this.#ids.slice(this.#told);
    this.#told = this.#ids.length;
    return [{ ...first, ids }, ...others];
  }

  #pieces(piece: Piece | undefined): readonly PartPiece[] {
    if (!piece) return [];
    const { text, tokens } = piece;
    if (!this.#parser) return [{ part: { kind: 'content', text }, tokens }];
    this.#keep(tokens);
    return this.#withTokens(this.#parser.push(text));
  }

  /** Keeps the scores for the next part: the newest 512, as the text of an output does. */
  #keep(tokens: readonly TokenReport[]): void {
    for (const token of tokens) if (token.logprob !== undefined) this.#unreported.push(token);
    if (this.#unreported.length > MAX_PENDING_TOKENS) this.#unreported = this.#unreported.slice(-MAX_PENDING_TOKENS);
  }

  /** The first part reports all tokens so far. */
  #withTokens(parts: readonly OutputPart[]): PartPiece[] {
    if (parts.length === 0) return [];
    const tokens = this.#unreported;
    this.#unreported = [];
    return parts.map((part, index) => ({ part, tokens: index === 0 ? tokens : [] }));
  }
}

/**
 * The outputs of a job: those of the first prompt, then those of the next one. With a seed of the caller, the
 * outputs of a prompt get consecutive seeds.
 */
export function choicesOf({ prompts, choices, stops }: Prepared): readonly Choice[] {
  return prompts.flatMap((prompt, promptIndex) =>
    Array.from({ length: choices }, (_, number) => {
      const own = choices === 1 ? prompt : sharedPrompt(prompt, number);
      return new Choice(promptIndex * choices + number, promptIndex, own, stops);
    }),
  );
}

/** The prompt for one of several outputs: computed once, and scored once. */
function sharedPrompt(prompt: PreparedPrompt, number: number): PreparedPrompt {
  const { promptLogprobs, ...sequence } = prompt.sequence;
  const seed = (sequence.sampling.seed + number) % (Number.MAX_SAFE_INTEGER + 1);
  return {
    ...prompt,
    sequence: {
      ...sequence,
      sampling: { ...sequence.sampling, seed },
      group: prompt,
      ...(number === 0 && promptLogprobs !== undefined && { promptLogprobs }),
    },
  };
}

/**
 * The fields of a `token` event with the score of its last token; `earlier` has the scores of the others. The
 * scores of tokens that an earlier sequence has generated are not known.
 */
export function scoreFields(tokens: readonly TokenReport[]) {
  const scored = tokens.filter(({ logprob }) => logprob !== undefined);
  const last = scored.at(-1);
  if (last?.logprob === undefined) return undefined;
  const earlier = scored.slice(0, -1).map(({ id, logprob = 0, top = [] }) => ({ id, logprob, top: [...top] }));
  const { id, logprob, top = [] } = last;
  return { id, logprob, top: [...top], ...(earlier.length > 0 && { earlier }) };
}
