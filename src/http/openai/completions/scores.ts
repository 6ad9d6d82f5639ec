/**
 * The log-probabilities of one choice of a completion: four lists of the same length. The lists are written
 * as JSON while they grow, so that the end of a long answer does not hold the event loop.
 */
import type { TokenReport } from '../../../protocol/messages.ts';
import type { TokenForm } from '../../../text/tokenizer/token-form.ts';
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
    const form = this.#tokenizer.formOf(id);
    const comma = this.isEmpty ? '' : ',';
    this.#tokens += comma + jsonLine(nameOf(form));
    this.#logprobs += comma + (logprob ?? 'null');
    this.#tops += comma + (logprob === undefined ? 'null' : this.#top([...top, { id, logprob }]));
    this.#offsets += comma + this.#offset;
    this.#offset += this.#width(id, form);
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

  /** Name of a token → its log-probability. If two tokens have the same name, the likelier one counts. */
  #top(scores: readonly { readonly id: number; readonly logprob: number }[]): string {
    const best = new Map<string, number>();
    for (const { id, logprob } of scores) {
      const name = nameOf(this.#tokenizer.formOf(id));
      best.set(name, Math.max(logprob, best.get(name) ?? logprob));
    }
    return `{${Array.from(best, ([name, logprob]) => `${jsonLine(name)}:${logprob}`).join(',')}}`;
  }

  /** Code points that a token adds to the text: none for a special token, which decoding leaves out. */
  #width(id: number, form: TokenForm): number {
    if (!this.#tokenizer.isVisible(id)) return 0;
    if (isPartial(form)) return form.bytes.filter(beginsCharacter).length;
    // Decoders may strip the first space of a text.
    return codePoints(this.#offset === 0 ? this.#tokenizer.decode([id]) : form.text);
  }
}

/**
 * The name of a token in the lists: its text, or its bytes (`bytes:\xe6\x97`, as OpenAI writes them) if it
 * has a part of a character. All those parts have the same text, U+FFFD, and would be one key of an object.
 */
function nameOf(form: TokenForm): string {
  if (!isPartial(form)) return form.text;
  return `bytes:${form.bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}

/** True for a token with a part of a character: its text does not have its bytes. */
const isPartial = ({ text, bytes }: TokenForm): boolean =>
  text.includes('\u{FFFD}') && !Buffer.from(text).equals(Uint8Array.from(bytes));

/** True for the first byte of a character in UTF-8. */
const beginsCharacter = (byte: number): boolean => (byte & 0xc0) !== 0x80;

function codePoints(text: string): number {
  let points = 0;
  for (const _ of text) points += 1;
  return points;
}
