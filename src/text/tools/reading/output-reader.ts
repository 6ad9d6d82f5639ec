/**
 * Divides the text of one output into the answer, the reasoning and the calls of tools, as the profile of the
 * model says. Linear in the text; a character is returned as soon as its part is certain. Pure, except for
 * the random ids of calls.
 */
import type { OutputParser, OutputPart } from '../../output/parts.ts';
import type { FunctionTool } from '../../template/conversation.ts';
import type { OutputProfile } from '../output-profile.ts';
import { type CallContext, Calls } from './calls.ts';
import { readHarmony } from './harmony.ts';
import { Input, partsOf, type Reading, Stops } from './input.ts';
import { Parts } from './parts.ts';

export interface ReaderOptions {
  /** Tools that the output may call; empty: text that looks like a call stays content. */
  readonly tools: readonly FunctionTool[];
  /** False: the output ends after its first call, and text after it is dropped. */
  readonly parallel: boolean;
  /** The answer has a form: in a format without markers, it may look like a call, and is not counted. */
  readonly hasForm?: boolean;
  /** The prompt ends inside the reasoning. */
  readonly inReasoning: boolean;
  /** The beginning of the output that the prompt holds: it is read before the first text. */
  readonly answerStart: string;
}

export class OutputReader implements OutputParser {
  readonly #input = new Input();
  readonly #parts: Parts;
  readonly #reading: Reading<void>;
  readonly #profile: OutputProfile;
  readonly #calls: Calls | undefined;
  readonly #context: CallContext;
  readonly #inReasoning: boolean;
  /** A call has ended the reasoning. */
  #unclosed = false;
  /** First half of a character, which waits for the second. */
  #half = '';

  constructor(profile: OutputProfile, options: ReaderOptions) {
    const { tools, parallel, inReasoning, answerStart, hasForm = false } = options;
    this.#profile = profile;
    this.#inReasoning = inReasoning;
    this.#parts = new Parts(this.#input, tools);
    this.#context = { input: this.#input, parts: this.#parts, parallel, hasForm };
    this.#calls = tools.length > 0 ? new Calls(this.#context, profile.calls) : undefined;
    this.#parts.reasoning = inReasoning;
    this.#reading = this.#read();
    // Its parts wait for the first push.
    this.#input.given = answerStart.length;
    if (answerStart !== '') this.#advance(answerStart);
  }

  get reasoning(): boolean {
    return this.#parts.reasoning;
  }

  get done(): boolean {
    return this.#parts.done;
  }

  get calls(): number {
    return this.#parts.calls;
  }

  get unparsed(): number {
    return this.#parts.unparsed;
  }

  push(text: string): readonly OutputPart[] {
    const whole = this.#half + text;
    const last = whole.charCodeAt(whole.length - 1);
    const isHalf = last >= 0xd800 && last <= 0xdbff;
    this.#half = isHalf ? whole.slice(-1) : '';
    this.#advance(isHalf ? whole.slice(0, -1) : whole);
    return this.#parts.take();
  }

  finish(complete = false): readonly OutputPart[] {
    this.#input.ended = true;
    this.#input.complete = complete;
    this.#advance(this.#half);
    this.#half = '';
    return this.#parts.take();
  }

  #advance(text: string): void {
    if (this.#parts.done) return;
    if (this.#input.add(text)) this.#reading.next();
  }

  *#read(): Reading<void> {
    if (this.#profile.calls.style === 'harmony') return yield* readHarmony(this.#context);
    const afterCall = yield* this.#reasoning();
    if (this.#calls) yield* this.#withCalls(this.#calls, afterCall);
    else yield* this.#input.until(new Stops([]), this.#content);
  }

  readonly #content = (text: string): void => {
    this.#parts.settle();
    this.#parts.text('content', text);
  };

  /**
   * Reads the reasoning at the beginning of the output, if there is one.
   * @returns undefined; if a call has ended the reasoning, true for a complete one
   */
  *#reasoning(): Reading<boolean | undefined> {
    const format = this.#profile.reasoning;
    if (!format) return undefined;
    const [input, parts] = [this.#input, this.#parts];
    // Some models repeat the marker that the prompt ends with.
    const opened = yield* input.marker(partsOf(format.open));
    if (!opened && !this.#inReasoning) {
      // Some models close a reasoning that they have not opened.
      if (yield* input.marker(partsOf(format.close))) yield* this.#lineBreaks();
      return undefined;
    }
    parts.settle();
    parts.reasoning = true;
    // The line break after the marker belongs to it.
    if ((yield* input.more()) && input.char === '\n') input.at += 1;
    parts.settle();
    const closes = [`\n${format.close}`, format.close];
    const stops = new Stops([...closes, ...(this.#calls?.markers.inReasoning ?? []).map((marker) => `\n${marker}`)]);
    for (;;) {
      // Small models call a tool without an end of the reasoning.
      const complete = yield* this.#callInReasoning();
      if (complete !== undefined) return complete;
      const stop = yield* input.until(stops, (text) => {
        parts.settle();
        parts.text('reasoning', text);
      });
      if (stop === undefined) return undefined;
      if (!closes.includes(stop)) {
        // The line break before a call.
        input.at += 1;
        continue;
      }
      input.at += stop.length;
      parts.reasoning = false;
      yield* this.#lineBreaks();
      return undefined;
    }
  }

  /**
   * Reads a call inside of the reasoning, which it ends. A text that only looks like one stays reasoning.
   * @returns undefined if no call has begun; true for a complete one
   */
  *#callInReasoning(): Reading<boolean | undefined> {
    const [parts, calls] = [this.#parts, this.#calls];
    const marker = calls && (yield* this.#trigger(calls.markers.inReasoning));
    if (!calls || marker === undefined) return undefined;
    parts.plain = 'reasoning';
    const complete = yield* calls.read(marker);
    parts.plain = 'content';
    if (parts.calls === 0) return undefined;
    this.#unclosed = true;
    return complete;
  }

  /** Settles the marker that was read, and the line breaks after it. */
  *#lineBreaks(): Reading<void> {
    const [input, parts] = [this.#input, this.#parts];
    parts.settle();
    while ((yield* input.more()) && (input.char === '\n' || input.char === '\r')) {
      input.at += 1;
      parts.settle();
    }
  }

  /**
   * Reads the answer and the calls in it.
   * @param after undefined at the beginning of the answer; behind a call, true for a complete one
   */
  *#withCalls(calls: Calls, after: boolean | undefined): Reading<void> {
    const [input, parts] = [this.#input, this.#parts];
    const { markers } = calls;
    const triggers = [...markers.triggers, ...(markers.stop === undefined ? [] : [markers.stop])];
    const { lineTriggers } = markers;
    const stops = new Stops([...triggers, ...lineTriggers]);
    const close = partsOf(this.#profile.reasoning?.close ?? '');
    let afterCall = after === true;
    for (let first = after === undefined; !parts.done; first = false) {
      // White space before the first call and between calls belongs to no part.
      yield* input.space();
      if (afterCall && this.#unclosed && (yield* input.marker(close))) {
        // The reasoning that the call has ended.
        this.#unclosed = false;
        yield* this.#lineBreaks();
        continue;
      }
      const isLine = first || input.text.slice(input.mark, input.at).includes('\n');
      if ((first && (yield* markers.begins())) || (isLine && (yield* markers.beginsLine()))) {
        afterCall = yield* calls.read(undefined);
        continue;
      }
      let stop = yield* this.#trigger(triggers);
      if (stop === undefined) {
        if (input.char === '' && afterCall) parts.settle();
        else parts.asContent();
        stop = yield* input.until(stops, this.#content);
        if (stop === undefined) return;
        if (lineTriggers.includes(stop)) {
          afterCall = false;
          continue;
        }
        input.at += stop.length;
      }
      if (stop === markers.stop) {
        parts.settle();
        parts.done = true;
        return;
      }
      afterCall = yield* calls.read(stop);
    }
  }

  /** Reads a trigger if one follows. */
  *#trigger(triggers: readonly string[]): Reading<string | undefined> {
    for (const trigger of triggers) if (yield* this.#input.literal(trigger)) return trigger;
    return undefined;
  }
}
