/**
 * The log-probabilities of one choice of a completion: four lists of the same length. The lists are written
 * as JSON while they grow, so that the end of a long answer does not hold the event loop.
 */
import type { TokenReport } from '../../../protocol/messages.ts';
import type { Tokenizer } from '../../../text/tokenizer/tokenizer.ts';
import { jsonLine } from '../shared/chunks.ts';

/** The part of a tokenizer that the lists use. */
export type CompletionTokens = Pick<Tokenizer, 'formOf' | 'isVisible' | 'decode'>;

export class ScoreLists {
  readonly #tokenizer: CompletionTokens;
  #tokens = '';
  #logprobs = '';
  #tops = '';
  #offsets = '';
  /** Code points of the text before the next token. */
  #offset = 0;

  /** @param start the lists of the prompt, which the new lists continue */
  constructor(tokenizer: CompletionTokens, start?: ScoreLists) {
    this.#tokenizer = tokenizer;
    if (!start) return;
    this.#tokens = start.#tokens;
    this.#logprobs = start.#logprobs;
    this.#tops = start.#tops;
    this.#offsets = start.#offsets;
    this.#offset = start.#offset;
  }

  get isEmpty(): boolean {
    return this.#tokens === '';
  }

  /** Adds a token. One without a log-probability is the first of a prompt. */
  add({ id, logprob, top = [] }: TokenReport): void {
    const { text } = this.#tokenizer.formOf(id);
    const comma = this.isEmpty ? '' : ',';
    this.#tokens += comma + jsonLine(text);
    this.#logprobs += comma + (logprob ?? 'null');
    this.#tops += comma + (logprob === undefined ? 'null' : this.#top([...top, { id, logprob }]));
    this.#offsets += comma + this.#offset;
    this.#offset += this.#width(id, text);
  }

  /** The lists as JSON, in one line. Removes all tokens, so that the next text has only its own ones. */
  take(): string {
    const lists = `"tokens":[${this.#tokens}],"token_logprobs":[${this.#logprobs}]`;
    const json = `{${lists},"top_logprobs":[${this.#tops}],"text_offset":[${this.#offsets}]}`;
    this.#tokens = '';
    this.#logprobs = '';
    this.#tops = '';
    this.#offsets = '';
    return json;
  }

  /** Text of a token → its log-probability. If two tokens have the same text, the likelier one counts. */
  #top(scores: readonly { readonly id: number; readonly logprob: number }[]): string {
    const best = new Map<string, number>();
    for (const { id, logprob } of scores) {
      const { text } = this.#tokenizer.formOf(id);
      best.set(text, Math.max(logprob, best.get(text) ?? logprob));
    }
    return `{${Array.from(best, ([text, logprob]) => `${jsonLine(text)}:${logprob}`).join(',')}}`;
  }

  /** Code points that a token adds to the text: none for a special token, which decoding leaves out. */
  #width(id: number, text: string): number {
    if (!this.#tokenizer.isVisible(id)) return 0;
    // Decoders may strip the first space of a text.
    return codePoints(this.#offset === 0 ? this.#tokenizer.decode([id]) : text);
  }
}

function codePoints(text: string): number {
  let points = 0;
  for (const _ of text) points += 1;
  return points;
}
