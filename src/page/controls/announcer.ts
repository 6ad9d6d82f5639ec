/** Reads sentences to a screen reader: not more than one in two seconds, and never an old one. */
import { h } from '../dom.ts';

const EVERY_MS = 2000;

export class Announcer {
  readonly element = h('p', { class: 'visually-hidden', 'aria-live': 'polite' });
  #next: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** A later sentence replaces one that waits. */
  say(text: string): void {
    this.#next = text;
    if (this.#timer === undefined) this.#speak();
  }

  #speak(): void {
    this.#timer = undefined;
    if (this.#next === undefined) return;
    this.element.textContent = this.#next;
    this.#next = undefined;
    this.#timer = setTimeout(() => this.#speak(), EVERY_MS);
  }
}
