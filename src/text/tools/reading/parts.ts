/**
 * Collects the parts of an output: joins pieces of the same part, names calls, and keeps the counts. Pure,
 * except for the random ids of calls.
 */
import { randomInt } from 'node:crypto';
import type { OutputPart } from '../../output/parts.ts';
import type { FunctionTool } from '../../template/conversation.ts';
import type { Input } from './input.ts';
import type { Write } from './strings.ts';

const ID_CHARACTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Templates of Mistral accept ids of this length only. */
const ID_LENGTH = 9;

/** An id of a call: nine random alphanumerics. */
export function callId(): string {
  return Array.from({ length: ID_LENGTH }, () => ID_CHARACTERS.charAt(randomInt(ID_CHARACTERS.length))).join('');
}

export class Parts {
  readonly #input: Input;
  readonly #tools: ReadonlyMap<string, FunctionTool>;
  #list: OutputPart[] = [];
  calls = 0;
  unparsed = 0;
  reasoning = false;
  done = false;
  /** The part of text that is no call. A call ends the reasoning. */
  plain: 'content' | 'reasoning' = 'content';

  constructor(input: Input, tools: readonly FunctionTool[]) {
    this.#input = input;
    this.#tools = new Map(tools.map((tool) => [tool.name, tool]));
  }

  /** The parts since the last call of this method. */
  take(): readonly OutputPart[] {
    const list = this.#list;
    if (list.length > 0) this.#list = [];
    return list;
  }

  text(kind: 'content' | 'reasoning', text: string): void {
    this.reasoning = kind === 'reasoning';
    if (text === '') return;
    const last = this.#list.at(-1);
    if (last?.kind === kind) this.#list[this.#list.length - 1] = { kind, text: last.text + text };
    else this.#list.push({ kind, text });
  }

  /** Settles all text that was read: it is content, or reasoning that only looked like a call. */
  asContent(): void {
    const { mark, at } = this.#input;
    this.#input.mark = at;
    this.text(this.plain, this.#input.generated(mark, at));
  }

  /** Settles all text that was read: it belongs to markers. */
  settle(): void {
    this.#input.mark = this.#input.at;
  }

  /**
   * The offered tool that a name means. Models write `functions.NAME`, and some `functions.NAME:0`.
   */
  toolOf(name: string): FunctionTool | undefined {
    const whole = name.trim();
    const plain = whole.replace(/^functions\./, '');
    // A tool may have such a name itself.
    return this.#tools.get(whole) ?? this.#tools.get(plain) ?? this.#tools.get(plain.replace(/:\d+$/, ''));
  }

  get offersTools(): boolean {
    return this.#tools.size > 0;
  }

  /**
   * Writes the arguments of a call that begins with its first key or its end. The text before is not settled:
   * without a key, all of it can be content.
   */
  beginner(name: string): Write {
    let held = '';
    let begun = false;
    return (text) => {
      if (begun) return this.arguments(text);
      const isBracket = held === '';
      held += text;
      if (isBracket || text.trim() === '') return;
      begun = true;
      this.begin(name);
      this.arguments(held);
    };
  }

  /** Begins a call and settles the text that was read. */
  begin(name: string): void {
    this.settle();
    this.reasoning = false;
    this.plain = 'content';
    this.#list.push({ kind: 'call', index: this.calls, id: callId(), name });
    this.calls += 1;
  }

  /** Adds to the arguments of the last call, and settles the text that was read. */
  readonly arguments = (text: string): void => {
    this.settle();
    if (text === '') return;
    const index = this.calls - 1;
    const last = this.#list.at(-1);
    if (last?.kind === 'arguments') this.#list[this.#list.length - 1] = { ...last, text: last.text + text };
    else this.#list.push({ kind: 'arguments', index, text });
  };
}
