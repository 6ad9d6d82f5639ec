/** The markers of a format of calls, and the places where calls can begin. Pure. */
import type { CallFormat } from '../output-profile.ts';
import { type Input, partsOf, type Reading } from './input.ts';

/** UTF-16 units of the shortest marker that can begin calls inside of a reasoning, or end a broken call. */
const SHORTEST_MARKER = 3;
/** Small models put an answer of JSON into a block of code. */
const FENCES = [['```json'], ['```']];

export class CallMarkers {
  readonly #input: Input;
  readonly #format: CallFormat;
  readonly open: readonly string[];
  /** Empty for tagged calls, which read their own end. */
  readonly close: readonly string[];
  readonly section: readonly string[];
  readonly sectionClose: readonly string[];
  /** Markers behind a call: they close the brackets that it leaves open. */
  readonly ends: readonly string[];
  /** Calls have no marker: only the output itself can begin with one. */
  readonly bare: boolean;

  constructor(input: Input, format: CallFormat) {
    this.#input = input;
    this.#format = format;
    this.open = partsOf(format.callOpen);
    this.close = format.style === 'tagged' ? [] : partsOf(format.callClose);
    this.section = partsOf(format.sectionOpen);
    this.sectionClose = partsOf(format.sectionClose);
    const closings = [partsOf(format.callClose)[0] ?? '', this.sectionClose[0] ?? ''];
    this.ends = closings.filter(({ length }) => length >= SHORTEST_MARKER);
    this.bare = this.open.length === 0 && this.section.length === 0;
  }

  /** Texts that begin calls anywhere. */
  get triggers(): readonly string[] {
    const prefix = this.#format.style === 'json' ? partsOf(this.#format.prefix ?? '') : [];
    // Models omit the first part of a marker in two parts, such as `<tool_call>\n<function=`.
    const open = this.open.filter((part) => /^[<[]/.test(part));
    return [...this.section.slice(0, 1), ...this.open.slice(0, 1), ...open, ...prefix].sort(
      (a, b) => b.length - a.length,
    );
  }

  /** Markers that begin calls at the start of a line of the reasoning, which they end. */
  get inReasoning(): readonly string[] {
    return [this.section[0] ?? '', this.open[0] ?? ''].filter(({ length }) => length >= SHORTEST_MARKER);
  }

  /** Texts that may begin the object with the list of calls at the start of any line. */
  get lineTriggers(): readonly string[] {
    return this.#wrapper === undefined ? [] : ['\n{', '\n```'];
  }

  /** A text after which the output must end: the model would invent the result of the call. */
  get stop(): string | undefined {
    return this.#format.style === 'gemma' ? this.#format.responseOpen : undefined;
  }

  get #wrapper(): string | undefined {
    return this.#format.style === 'json' ? this.#format.wrapper : undefined;
  }

  /** True if an output without markers may begin with a call here. */
  *begins(): Reading<boolean> {
    if (!this.bare) return false;
    const input = this.#input;
    if (input.char === (this.#format.list ? '[' : '{')) return true;
    if (this.#wrapper === undefined || input.char !== '`') return false;
    for (const fence of FENCES)
      if (yield* input.marker([...fence, '{'])) {
        input.at -= 1;
        return true;
      }
    return false;
  }

  /** True if the object with the list of calls begins at this start of a line; reads the fence before it. */
  *beginsLine(): Reading<boolean> {
    const input = this.#input;
    if (this.#wrapper === undefined) return false;
    const { char } = input;
    if (char !== '{' && char !== '`') return false;
    for (const fence of char === '{' ? [[]] : FENCES) {
      const { held } = input;
      yield* input.marker(fence);
      yield* input.space();
      const start = input.held;
      const begins = yield* input.marker(['{', JSON.stringify(this.#wrapper)]);
      input.at = input.mark + (begins ? start : held);
      if (begins) return true;
    }
    return false;
  }
}
