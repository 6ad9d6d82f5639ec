/** Reads calls in the format of a profile, one after the other, with the markers around them. Pure. */
import type { CallFormat, JsonCalls, NamedCalls } from '../output-profile.ts';
import { type Input, partsOf, type Reading } from './input.ts';
import { JsonCall, readKey } from './json-call.ts';
import { bareName, copyObject, JSON_NOTATION, type Notation, PYTHON_NOTATION } from './notation.ts';
import type { Parts } from './parts.ts';
import { TaggedCall } from './tagged-call.ts';

/** Ends a name; names may have a dot, a colon and a hyphen. */
const NAME_END = /[\s{}()[\]'"<>`|,]/;
/** Small models put an answer of JSON into a block of code. */
const FENCES = [['```json'], ['```']];

export interface CallContext {
  readonly input: Input;
  readonly parts: Parts;
  /** False: the output ends after its first call. */
  readonly parallel: boolean;
}

export class Calls {
  readonly #context: CallContext;
  readonly #format: CallFormat;
  readonly #open: readonly string[];
  readonly #close: readonly string[];
  readonly #section: readonly string[];
  readonly #sectionClose: readonly string[];
  /** Calls have no marker: only the output itself can begin with one. */
  readonly bare: boolean;
  #looksLikeCall = true;

  constructor(context: CallContext, format: CallFormat) {
    this.#context = context;
    this.#format = format;
    this.#open = partsOf(format.callOpen);
    // A tagged call reads its own end.
    this.#close = format.style === 'tagged' ? [] : partsOf(format.callClose);
    this.#section = partsOf(format.sectionOpen);
    this.#sectionClose = partsOf(format.sectionClose);
    this.bare = this.#open.length === 0 && this.#section.length === 0;
  }

  /** Texts that begin calls anywhere. */
  get triggers(): readonly string[] {
    const prefix = this.#format.style === 'json' ? partsOf(this.#format.prefix ?? '') : [];
    // Models leave out the first part of a marker in two parts, such as `<tool_call>\n<function=`.
    const open = this.#open.filter((part) => /^[<[]/.test(part));
    return [...this.#section.slice(0, 1), ...this.#open.slice(0, 1), ...open, ...prefix].sort(
      (a, b) => b.length - a.length,
    );
  }

  /** True if an output without markers may begin with a call here. */
  *begins(): Reading<boolean> {
    if (!this.bare) return false;
    const { input } = this.#context;
    if (input.char === (this.#format.list ? '[' : '{')) return true;
    if (this.#format.style !== 'json' || this.#format.wrapper === undefined) return false;
    for (const fence of FENCES)
      if (yield* input.marker([...fence, '{'])) {
        input.at -= 1;
        return true;
      }
    return false;
  }

  /**
   * Reads calls.
   * @param trigger the trigger that was read; undefined for an output that begins with a call
   * @returns true if the last text that was read is a complete call
   */
  *read(trigger: string | undefined): Reading<boolean> {
    const { input, parts, parallel } = this.#context;
    if (!(yield* this.#opened(trigger))) return this.#failed(parts.calls);
    let inList = this.#format.style !== 'tagged' && (yield* input.marker(['[']));
    for (;;) {
      const before = parts.calls;
      this.#looksLikeCall = true;
      if (!(yield* this.#call())) return this.#failed(before);
      yield* input.marker(this.#close);
      parts.settle();
      if (!parallel) {
        parts.done = true;
        return true;
      }
      if (inList) {
        if (yield* input.marker([','])) continue;
        if (!(yield* input.marker([']']))) return this.#complete();
        inList = false;
        yield* input.marker(this.#close);
        parts.settle();
      }
      if (!(yield* this.#another())) return this.#complete();
    }
  }

  /** Reads the markers up to the first call. */
  *#opened(trigger: string | undefined): Reading<boolean> {
    const { input } = this.#context;
    if (trigger === undefined) return true;
    const at = this.#open.indexOf(trigger);
    if (at >= 0) return yield* input.marker(this.#open.slice(at + 1));
    if (trigger !== this.#section[0]) return true;
    return yield* input.marker([...this.#section.slice(1), ...this.#open]);
  }

  /** Between two calls: reads the markers up to the next call. False if there is no other. */
  *#another(): Reading<boolean> {
    const { input, parts } = this.#context;
    if (this.#sectionClose.length > 0 && (yield* input.marker(this.#sectionClose))) {
      parts.settle();
      return false;
    }
    if (input.ended && input.ranOut) return false;
    if (this.#open.length > 0) return yield* input.marker(this.#open);
    if (this.bare) {
      if (this.#format.list) return false;
      const { held } = input;
      if ((yield* input.marker([';'])) || this.#format.style === 'json') {
        yield* input.space();
        if (input.char === '{') return true;
        input.at = input.mark + held;
      }
      return false;
    }
    // Calls without markers of their own, up to the end of their section.
    yield* input.space();
    return input.char !== '' && this.#sectionClose.length > 0;
  }

  *#call(): Reading<boolean> {
    const format = this.#format;
    switch (format.style) {
      case 'json':
        return yield* this.#json(format);
      case 'named':
        return yield* this.#named(format);
      case 'tagged':
        return yield* new TaggedCall(this.#context, format).read();
      case 'pythonic':
        return yield* this.#bracketed([], '(', PYTHON_NOTATION);
      case 'gemma':
        return yield* this.#bracketed(['call:'], '{', { name: 'gemma', quote: format.quote });
      case 'harmony':
        return false;
    }
  }

  *#json(format: JsonCalls): Reading<boolean> {
    const { input } = this.#context;
    const call = new JsonCall(this.#context, format, this.bare);
    this.#looksLikeCall = false;
    if (format.wrapper !== undefined) {
      const { held } = input;
      const key = (yield* input.marker(['{'])) ? yield* readKey(input) : undefined;
      if (key === format.wrapper) return yield* this.#wrapped(format);
      if (key !== undefined) {
        const read = yield* call.readFrom(key);
        this.#looksLikeCall = call.looksLikeCall;
        if (read) yield* input.marker(['```']);
        return read;
      }
      input.at = input.mark + held;
    }
    const read = yield* call.read();
    this.#looksLikeCall = call.looksLikeCall;
    return read;
  }

  /** The rest of `{"tool_calls": [{…}, {…}]}` from behind the key. */
  *#wrapped(format: JsonCalls): Reading<boolean> {
    const { input, parts, parallel } = this.#context;
    if (!(yield* input.marker([':', '[']))) return false;
    this.#looksLikeCall = true;
    do {
      if (!(yield* new JsonCall(this.#context, format, false).read())) return false;
      parts.settle();
      if (!parallel) return true;
    } while (yield* input.marker([',']));
    yield* input.marker([']']);
    yield* input.marker(['}']);
    yield* input.marker(['```']);
    return true;
  }

  *#named(format: NamedCalls): Reading<boolean> {
    const { input, parts } = this.#context;
    yield* input.space();
    const name = yield* bareName(input, NAME_END);
    const tool = name === undefined ? undefined : parts.toolOf(name);
    if (!tool) return false;
    if (format.idMarker !== '' && (yield* input.marker(partsOf(format.idMarker)))) {
      yield* input.space();
      yield* bareName(input, NAME_END);
    }
    yield* input.marker(partsOf(format.separator));
    if (!(yield* input.marker(['{']))) return false;
    parts.begin(tool.name);
    return yield* copyObject(input, JSON_NOTATION, parts.arguments);
  }

  /** A name and its arguments in brackets. */
  *#bracketed(before: readonly string[], open: string, notation: Notation): Reading<boolean> {
    const { input, parts } = this.#context;
    this.#looksLikeCall = !this.bare;
    if (!(yield* input.marker(before))) return false;
    yield* input.space();
    const name = yield* bareName(input, NAME_END);
    const tool = name === undefined ? undefined : parts.toolOf(name);
    if (!(yield* input.marker([open]))) return false;
    this.#looksLikeCall = true;
    if (!tool) return false;
    parts.begin(tool.name);
    return yield* copyObject(input, notation, parts.arguments);
  }

  /** After a complete call: an unfinished marker at the end of the output is dropped. */
  #complete(): true {
    const { input, parts } = this.#context;
    if (input.ended && input.ranOut) {
      input.at = input.text.length;
      parts.settle();
    }
    return true;
  }

  /** No complete call: text before a name is content; a call keeps the arguments that were sent. */
  #failed(before: number): false {
    const { input, parts } = this.#context;
    const begun = parts.calls > before;
    const cut = input.ended && input.ranOut;
    if (cut) input.at = input.text.length;
    if (cut && begun) {
      parts.settle();
      return false;
    }
    if (begun || this.#looksLikeCall) parts.unparsed += 1;
    parts.asContent();
    return false;
  }
}
