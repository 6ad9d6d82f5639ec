/**
 * The output of a conversation as one text, with the marks of reasoning and calls. A parser reads the text
 * too: it counts the calls, and ends the output after its only call.
 */
import type { OutputParser, OutputPart } from './parts.ts';

export class UndividedText implements OutputParser {
  readonly #parser: OutputParser;
  /** The beginning of the output that the prompt holds, until it is returned. */
  #start: string;

  /** @param start the beginning of the output that the prompt holds, which the parser has read */
  constructor(parser: OutputParser, start: string) {
    this.#parser = parser;
    this.#start = start;
  }

  /** The tokens of the reasoning are not counted. */
  readonly reasoning = false;

  get done(): boolean {
    return this.#parser.done;
  }

  get calls(): number {
    return this.#parser.calls;
  }

  get unparsed(): number {
    return this.#parser.unparsed;
  }

  push(text: string): readonly OutputPart[] {
    this.#parser.push(text);
    const whole = this.#start + text;
    this.#start = '';
    return whole === '' ? [] : [{ kind: 'content', text: whole }];
  }

  finish(complete?: boolean): readonly OutputPart[] {
    this.#parser.finish(complete);
    return [];
  }
}
