/**
 * The progress of an output over the workers that generate it: what another worker needs to go on, and which
 * events of that worker the reader has already.
 */
import type { StreamEvent } from '../contract/events.ts';
import type { ResumeFacts } from '../contract/resume/fields.ts';
import type { Continuation, OutputPiece } from './continuation.ts';
import { DivergedError } from './errors.ts';

type Token = Extract<StreamEvent, { type: 'token' }>;

/** The ids that one worker has told, and the next index of that worker. */
interface Told {
  readonly fingerprint: string;
  readonly ids: number[];
  index: number;
}

export class Progress {
  readonly #before: Continuation | undefined;
  readonly #output: OutputPiece[];
  #seed: number | undefined;
  #index: number;
  #told: Told | undefined;
  /** Text of the earlier output that the worker generates again; undefined if it generates none again. */
  #again: string | undefined;

  /** @param before the end of the earlier stream; absent: the output begins */
  constructor(before: Continuation | undefined) {
    this.#before = before;
    this.#output = [...(before?.output ?? [])];
    this.#index = before?.index ?? 0;
  }

  /** The output before this stream. */
  get before(): readonly OutputPiece[] {
    return this.#before?.output ?? [];
  }

  /** Undefined before the first event of the first worker, and for an output whose beginning is not known. */
  get continuation(): Continuation | undefined {
    // The worker has not generated again what the reader has: the earlier data tell more.
    if (this.#seed === undefined || this.#again) return this.#before;
    const told = this.#told;
    return {
      seed: this.#seed,
      index: this.#index,
      output: [...this.#output],
      ...(told && { resume: { token_ids: [...told.ids], index: told.index, fingerprint: told.fingerprint } }),
    };
  }

  /**
   * Notes an event of the worker.
   * @returns the event for the reader: without the text, and with the index, of the earlier stream; undefined
   *   if the reader has all of it
   * @throws DivergedError if the worker generates another text than the earlier one
   */
  take(event: StreamEvent): StreamEvent | undefined {
    if (event.type === 'started') this.#start(event);
    if (event.type === 'error' && event.resume && !this.#again) this.#told = toldIn(event.resume);
    return event.type === 'token' ? this.#token(event) : event;
  }

  /** A worker that does not know `resume`, or has refused it, generates the output from its first token. */
  #start({ seed, fingerprint, resumed_ids: kept }: Extract<StreamEvent, { type: 'started' }>): void {
    // The output before a job that was resumed by its caller is not known.
    this.#seed = kept !== undefined && !this.#before ? undefined : seed;
    const resume = this.#before?.resume;
    if (kept !== undefined) this.#told = resume && toldIn(resume);
    else {
      this.#told = fingerprint === undefined ? undefined : { fingerprint, ids: [], index: 0 };
      this.#again = this.before.map(({ t }) => t).join('');
    }
  }

  #token(event: Token): Token | undefined {
    if (this.#told) {
      this.#told.ids.push(...(event.ids ?? []));
      this.#told.index = event.i + 1;
    }
    const t = this.#fresh(event.t);
    if (t === '') return undefined;
    const { part, call, call_id } = event;
    const last = this.#output.at(-1);
    if (last && last.part === part && last.call === call)
      this.#output[this.#output.length - 1] = { ...last, t: last.t + t };
    else this.#output.push({ t, ...(part && { part, call, call_id }) });
    const i = this.#before ? this.#index : event.i;
    this.#index = i + 1;
    return this.#before ? { ...event, t, i } : event;
  }

  /** The part of a text that the reader lacks. */
  #fresh(text: string): string {
    const again = this.#again;
    if (!again) return text;
    const length = Math.min(text.length, again.length);
    if (text.slice(0, length) !== again.slice(0, length)) throw new DivergedError();
    this.#again = again.slice(length);
    return text.slice(length);
  }
}

const toldIn = ({ token_ids: ids, index, fingerprint }: ResumeFacts): Told => ({ ids: [...ids], index, fingerprint });
