/** Gives sentences to a screen reader: at most one in two seconds, and always the latest. */
import { h } from '../dom.ts';
import type { Answer } from '../state/answer.ts';

const EVERY_MS = 2000;
const MOST_CHARS = 500;

export class Announcer {
  readonly element = h('p', { class: 'visually-hidden', 'aria-live': 'polite' });
  /** The last sentence of the story. */
  #last: string | undefined;
  #next: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** A later sentence replaces one that waits. */
  say(text: string): void {
    this.#next = text;
    if (this.#timer === undefined) this.#speak();
  }

  /** Says the last sentence of an answer that runs, or the end of one. */
  tell({ status, text, failure, story }: Answer): void {
    const last = story.sentences.at(-1)?.human;
    if (status !== 'running') this.say(failure?.message ?? `Answer ${status}. ${text.slice(0, MOST_CHARS)}`);
    else if (last !== undefined && last !== this.#last) this.say(last);
    this.#last = last;
  }

  #speak(): void {
    this.#timer = undefined;
    if (this.#next === undefined) return;
    this.element.textContent = this.#next;
    this.#next = undefined;
    this.#timer = setTimeout(() => this.#speak(), EVERY_MS);
  }
}
