/** Shared by both encoders of completions: the facts about the answer, and one choice as it grows. */
import type { ChoiceEndEvent, JobEvent, TokenEvent } from '../../../jobs/job-events.ts';
import type { Input } from '../../../jobs/order.ts';
import type { TokenReport } from '../../../protocol/messages.ts';
import type { AnswerHead } from '../shared/order.ts';
import { Echo } from './echo.ts';
import { type CompletionTokens, ScoreLists } from './scores.ts';

export interface CompletionAnswer {
  readonly head: AnswerHead;
  /** True if the answer carries the narration. */
  readonly narrates: boolean;
  readonly tokens: CompletionTokens;
  readonly inputs: readonly Input[];
  /** Outputs for each prompt. */
  readonly choices: number;
  /** True if the client asks for log-probabilities. */
  readonly scored: boolean;
  /** True if each text begins with its prompt. */
  readonly echo: boolean;
  /** Ids that end a sequence and that the engine reports as a token; empty if it reports none. */
  readonly endIds: readonly number[];
}

/** The part of a choice that is not sent yet. */
export class CompletionChoice {
  readonly #scores: ScoreLists | undefined;
  readonly #endIds: readonly number[];
  #text: string;
  /** `length` or `stop`; undefined before the end. */
  finish: string | undefined;

  constructor({ tokens, scored, endIds }: CompletionAnswer, start: { text: string; scores?: ScoreLists }) {
    this.#text = start.text;
    this.#scores = scored ? new ScoreLists(tokens, start.scores) : undefined;
    this.#endIds = endIds;
  }

  /** Adds a piece of the output. */
  token(event: TokenEvent): void {
    this.#text += event.t;
    for (const token of reportsOf(event)) this.#scores?.add(token);
  }

  /** Ends the output. */
  end({ reason, unreported = [] }: ChoiceEndEvent): void {
    for (const token of unreported) this.#scores?.add(token);
    const last = unreported.at(-1);
    const isEnd = last !== undefined && this.#endIds.includes(last.id);
    this.finish = reason === 'max_tokens' && !isEnd ? 'length' : 'stop';
  }

  /** The choice as JSON in one line, without the text of an earlier call. */
  take(index: number): string {
    const text = JSON.stringify(this.#text);
    this.#text = '';
    const logprobs = this.#scores === undefined || this.#scores.isEmpty ? 'null' : this.#scores.take();
    const finish = this.finish === undefined ? 'null' : `"${this.finish}"`;
    return `{"index":${index},"text":${text},"logprobs":${logprobs},"finish_reason":${finish}}`;
  }
}

/** The choices of an answer, each begun with its prompt if the client wants that. */
export class CompletionChoices {
  readonly #answer: CompletionAnswer;
  readonly #echo: Echo | undefined;
  readonly #choices = new Map<number, CompletionChoice>();

  constructor(answer: CompletionAnswer) {
    this.#answer = answer;
    this.#echo = answer.echo ? new Echo(answer.inputs, answer.tokens, answer.scored) : undefined;
  }

  /** Takes the facts about the prompts. */
  count(event: JobEvent): void {
    if (event.type === 'prompt') this.#echo?.prompt(event);
    else if (event.type === 'scores') this.#echo?.scores(event);
  }

  /** A choice, begun at the first call. */
  of(index: number): CompletionChoice {
    const known = this.#choices.get(index);
    if (known) return known;
    const start = this.#echo?.of(Math.floor(index / this.#answer.choices)) ?? { text: '' };
    const begun = new CompletionChoice(this.#answer, start);
    this.#choices.set(index, begun);
    return begun;
  }

  /** Forgets the choices: the log of an ended job keeps its encoder. */
  clear(): void {
    this.#choices.clear();
  }
}

/** The scores of a token event, in order. */
function reportsOf({ id, logprob, top, earlier = [] }: TokenEvent): readonly TokenReport[] {
  if (id === undefined || logprob === undefined) return [];
  return [...earlier, { id, logprob, ...(top && { top }) }];
}
