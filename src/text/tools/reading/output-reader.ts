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

  constructor(profile: OutputProfile, { tools, parallel, inReasoning, answerStart }: ReaderOptions) {
    this.#profile = profile;
    this.#inReasoning = inReasoning;
    this.#parts = new Parts(this.#input, tools);
    this.#context = { input: this.#input, parts: this.#parts, parallel };
    this.#calls = tools.length > 0 ? new Calls(this.#context, profile.calls) : undefined;
    this.#parts.reasoning = inReasoning;
    this.#reading = this.#read();
    // Its parts wait for the first push.
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
    yield* this.#reasoning();
    if (this.#calls) yield* this.#withCalls(this.#calls);
    else yield* this.#input.until(new Stops([]), this.#content);
  }

  readonly #content = (text: string): void => {
    this.#parts.settle();
    this.#parts.text('content', text);
  };

  /** Reads the reasoning at the beginning of the output, if there is one. */
  *#reasoning(): Reading<void> {
    const format = this.#profile.reasoning;
    if (!format) return;
    const [input, parts] = [this.#input, this.#parts];
    // Some models repeat the marker that the prompt ends with.
    const opened = yield* input.marker(partsOf(format.open));
    if (!opened && !this.#inReasoning) {
      // Some models close a reasoning that they have not opened.
      if (yield* input.marker(partsOf(format.close))) yield* this.#lineBreaks();
      return;
    }
    parts.settle();
    parts.reasoning = true;
    // The line break after the marker belongs to it.
    if ((yield* input.more()) && input.char === '\n') input.at += 1;
    parts.settle();
    // Small models call a tool without an end of the reasoning.
    const markers = this.#calls?.markers.inReasoning ?? [];
    const openers = new Set(markers.map((marker) => `\n${marker}`));
    for (const marker of markers) {
      const { held } = input;
      const begins = yield* input.literal(marker);
      input.at = input.mark + held;
      if (!begins) continue;
      parts.reasoning = false;
      this.#unclosed = true;
      return;
    }
    const stops = new Stops([`\n${format.close}`, format.close, ...openers]);
    const stop = yield* input.until(stops, (text) => {
      parts.settle();
      parts.text('reasoning', text);
    });
    if (stop === undefined) return;
    parts.reasoning = false;
    if (openers.has(stop)) {
      this.#unclosed = true;
      input.at += 1;
      parts.settle();
      return;
    }
    input.at += stop.length;
    yield* this.#lineBreaks();
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

  /** Reads the answer and the calls in it. */
  *#withCalls(calls: Calls): Reading<void> {
    const [input, parts] = [this.#input, this.#parts];
    const { markers } = calls;
    const triggers = [...markers.triggers, ...(markers.stop === undefined ? [] : [markers.stop])];
    const { lineTriggers } = markers;
    const stops = new Stops([...triggers, ...lineTriggers]);
    const close = partsOf(this.#profile.reasoning?.close ?? '');
    let afterCall = false;
    for (let first = true; !parts.done; first = false) {
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
