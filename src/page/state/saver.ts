/** Saves the state of the tab: soon after a change, and when the page is left. */
import { type TabState, writeTab } from './storage.ts';

/** Time between two saves of an answer that runs. */
const SAVE_MS = 500;

export class Saver {
  readonly #state: () => TabState;
  readonly #onSaved: (isSaved: boolean) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param onSaved called with false if the browser has no room */
  constructor(state: () => TabState, onSaved: (isSaved: boolean) => void) {
    this.#state = state;
    this.#onSaved = onSaved;
    addEventListener('pagehide', () => this.now());
  }

  soon(): void {
    this.#timer ??= setTimeout(() => this.now(), SAVE_MS);
  }

  now(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#onSaved(writeTab(this.#state()));
  }
}
