/** Reads calls in the format of a profile, one after the other, with the markers around them. Pure. */
import type { FunctionTool } from '../../template/conversation.ts';
import { isJsonObject } from '../json-object.ts';
import type { CallFormat, JsonCalls, NamedCalls } from '../output-profile.ts';
import { CallMarkers } from './call-markers.ts';
import { type Input, partsOf, type Reading } from './input.ts';
import { JsonCall, readKey } from './json-call.ts';
import { bareName, copyObject, JSON_NOTATION, type Notation, PYTHON_NOTATION } from './notation.ts';
import type { Parts } from './parts.ts';
import { TaggedCall } from './tagged-call.ts';

/** Ends a name; names may have a dot, a colon and a hyphen. */
const NAME_END = /[\s{}()[\]'"<>`|,]/;

export interface CallContext {
  readonly input: Input;
  readonly parts: Parts;
  /** False: the output ends after its first call. */
  readonly parallel: boolean;
  /** The answer has a form. */
  readonly hasForm: boolean;
}

export class Calls {
  readonly #context: CallContext;
  readonly #format: CallFormat;
  readonly markers: CallMarkers;
  #looksLikeCall = true;
  #sectionEnded = false;

  constructor(context: CallContext, format: CallFormat) {
    this.#context = context;
    this.#format = format;
    this.markers = new CallMarkers(context.input, format);
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
      const closed = yield* this.#closed();
      parts.settle();
      if (!parallel) {
        parts.done = true;
        return true;
      }
      if (inList) {
        if (yield* input.marker([','])) continue;
        if (!(yield* input.marker([']']))) return yield* this.#openList();
        inList = false;
        yield* input.marker(this.markers.close);
        parts.settle();
      }
      if (!closed && this.#format.style === 'json' && (yield* this.#sibling())) continue;
      if (yield* this.#another()) continue;
      if (!closed && !this.#sectionEnded && (yield* this.#hasText())) parts.unparsed += 1;
      return this.#complete();
    }
  }

  /** After the last call of a list that has no end. */
  *#openList(): Reading<true> {
    const { input, parts } = this.#context;
    const isClosed = this.markers.sectionClose.length > 0 && (yield* input.marker(this.markers.sectionClose));
    if (isClosed) parts.settle();
    else if (yield* this.#hasText()) parts.unparsed += 1;
    return this.#complete();
  }

  /** Reads the marker after a call, and an extra bracket before it. False if other text follows. */
  *#closed(): Reading<boolean> {
    const { input } = this.#context;
    if (yield* input.marker(this.markers.close)) return true;
    return this.#format.style === 'json' && (yield* input.marker(['}', ...this.markers.close]));
  }

  /** Reads up to another call that shares the markers of the last one. */
  *#sibling(): Reading<boolean> {
    const { input } = this.#context;
    const { held } = input;
    yield* input.marker([',']);
    yield* input.space();
    if (input.char === '{') return true;
    input.at = input.mark + held;
    return false;
  }

  /** True if text follows that the end of the output does not cut. Reads nothing. */
  *#hasText(): Reading<boolean> {
    const { input } = this.#context;
    const { held } = input;
    const more = yield* input.space();
    input.at = input.mark + held;
    return more && !(input.ended && input.ranOut);
  }

  /** Reads the markers up to the first call. */
  *#opened(trigger: string | undefined): Reading<boolean> {
    const { input } = this.#context;
    if (trigger === undefined) return true;
    const at = this.markers.open.indexOf(trigger);
    if (at >= 0) return yield* input.marker(this.markers.open.slice(at + 1));
    if (trigger !== this.markers.section[0]) return true;
    return yield* input.marker([...this.markers.section.slice(1), ...this.markers.open]);
  }

  /** Between two calls: reads the markers up to the next call. False if there is no other. */
  *#another(): Reading<boolean> {
    const { input, parts } = this.#context;
    this.#sectionEnded = this.markers.sectionClose.length > 0 && (yield* input.marker(this.markers.sectionClose));
    if (this.#sectionEnded) {
      parts.settle();
      return false;
    }
    if (input.ended && input.ranOut) return false;
    if (this.markers.open.length > 0) return yield* input.marker(this.markers.open);
    if (this.markers.bare) {
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
    return input.char !== '' && this.markers.sectionClose.length > 0;
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
    const call = new JsonCall(this.#context, format, { bare: this.markers.bare, ends: this.markers.ends });
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
      if (!(yield* new JsonCall(this.#context, format, { bare: false, ends: this.markers.ends }).read())) return false;
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
    return yield* copyObject(input, JSON_NOTATION, { write: parts.beginner(tool.name), ends: this.markers.ends });
  }

  /** A name and its arguments in brackets. */
  *#bracketed(before: readonly string[], open: string, notation: Notation): Reading<boolean> {
    const { input, parts } = this.#context;
    this.#looksLikeCall = !this.markers.bare;
    if (!(yield* input.marker(before))) return false;
    yield* input.space();
    const name = yield* bareName(input, NAME_END);
    const tool = name === undefined ? undefined : parts.toolOf(name);
    if (!(yield* input.marker([open]))) return false;
    this.#looksLikeCall = true;
    if (!tool) return false;
    const write = parts.beginner(tool.name);
    return yield* copyObject(input, notation, { write, ends: this.markers.ends, keys: keysOf(tool) });
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
    const { input, parts, hasForm } = this.#context;
    const begun = parts.calls > before;
    const cut = input.ended && input.ranOut;
    if (cut) input.at = input.text.length;
    if (cut && begun) {
      if (input.complete) parts.unparsed += 1;
      parts.settle();
      return false;
    }
    const isAnswer = hasForm && this.markers.bare;
    if (begun || (this.#looksLikeCall && !isAnswer)) parts.unparsed += 1;
    parts.asContent();
    return false;
  }
}

/** The names of the arguments of a tool, in the order of its schema. */
function keysOf({ parameters }: FunctionTool): readonly string[] {
  const properties = parameters?.['properties'];
  return isJsonObject(properties) ? Object.keys(properties) : [];
}
