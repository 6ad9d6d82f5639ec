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

  finish(): readonly OutputPart[] {
    this.#input.ended = true;
    this.#advance(this.#half);
    this.#half = '';
    return this.#parts.take();
  }

  #advance(text: string): void {
    if (this.#parts.done) return;
    this.#input.add(text);
    this.#reading.next();
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
    if (!opened && !this.#inReasoning) return;
    parts.settle();
    parts.reasoning = true;
    // The line break after the marker belongs to it.
    if ((yield* input.more()) && input.char === '\n') input.at += 1;
    parts.settle();
    const stops = new Stops([`\n${format.close}`, format.close]);
    const stop = yield* input.until(stops, (text) => {
      parts.settle();
      parts.text('reasoning', text);
    });
    if (stop === undefined) return;
    input.at += stop.length;
    parts.settle();
    parts.reasoning = false;
    while ((yield* input.more()) && (input.char === '\n' || input.char === '\r')) {
      input.at += 1;
      parts.settle();
    }
  }

  /** Reads the answer and the calls in it. */
  *#withCalls(calls: Calls): Reading<void> {
    const [input, parts] = [this.#input, this.#parts];
    const { triggers } = calls;
    const stops = new Stops(triggers);
    let afterCall = false;
    for (let first = true; !parts.done; first = false) {
      // White space before the first call and between calls belongs to no part.
      yield* input.space();
      if (first && (yield* calls.begins())) {
        afterCall = yield* calls.read(undefined);
        continue;
      }
      let stop = yield* this.#trigger(triggers);
      if (stop === undefined) {
        if (input.char === '' && afterCall) parts.settle();
        else parts.asContent();
        stop = yield* input.until(stops, this.#content);
        if (stop === undefined) return;
        input.at += stop.length;
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
