/** A line below the header while something is wrong. */
import { h, setText } from '../dom.ts';
import type { WorkerView } from './health-poll.ts';

const STATES: Readonly<Record<string, string>> = {
  starting: 'The worker is loading its model.',
  stalled: 'The engine of the worker has been silent for a while. Answers wait for it.',
  draining: 'The worker is stopping. Running answers may finish; new ones are refused.',
  unhealthy: 'The worker has lost its engine and starts another one.',
};
const OFFLINE = 'The worker does not answer. The page asks again every two seconds.';
const UNSAVED = 'The browser has no room left for this conversation: a reload would lose it. Export it from the menu.';

const NOTE_MS = 6000;

export class Banner {
  readonly element = h('p', { class: 'banner', role: 'status', hidden: true });
  #worker = '';
  #isUnsaved = false;
  #note = '';

  draw(view: WorkerView): void {
    const status = view.state === 'known' ? view.health.status : '';
    this.#worker = view.state === 'offline' ? OFFLINE : (STATES[status] ?? '');
    this.#show();
  }

  setUnsaved(isUnsaved: boolean): void {
    this.#isUnsaved = isUnsaved;
    this.#show();
  }

  /** Shows a sentence for a while. */
  setNote(note: string): void {
    this.#note = note;
    this.#show();
    setTimeout(() => {
      this.#note = '';
      this.#show();
    }, NOTE_MS);
  }

  #show(): void {
    const text = this.#note || this.#worker || (this.#isUnsaved ? UNSAVED : '');
    setText(this.element, text);
    this.element.hidden = text === '';
  }
}
