/** The field for the next message, and the button that sends it or stops the answer. */
import { fill, h, isComposing, setText } from '../dom.ts';
import { icon } from '../icons.ts';

export interface ComposerParts {
  /** False if the message cannot be sent now. */
  readonly send: (text: string) => boolean;
  readonly stop: () => void;
  readonly changed: () => void;
  readonly openParameters: () => void;
  readonly openStory: () => void;
}

export class Composer {
  readonly element: HTMLElement;
  readonly #field = h('textarea', {
    id: 'message',
    rows: 1,
    placeholder: 'Write a message…',
    'aria-label': 'Message',
    'aria-describedby': 'composer-hint',
    autocomplete: 'off',
  });
  readonly #button = h('button', { class: 'send', type: 'submit' });
  readonly #chips = h('div', { class: 'chips' });
  /** The last sentence of the story, where the story itself has no room. */
  readonly #ticker = h('button', { type: 'button', class: 'ticker', title: 'Show the story', hidden: true });
  readonly #parts: ComposerParts;
  #isBusy: boolean | undefined;

  constructor(parts: ComposerParts) {
    this.#parts = parts;
    this.element = h(
      'form',
      { class: 'composer', submit: (event) => this.#submit(event) },
      this.#ticker,
      this.#chips,
      h('div', { class: 'field' }, this.#field, this.#button),
      h(
        'p',
        { class: 'hint', id: 'composer-hint' },
        h('kbd', {}, 'Enter'),
        ' sends ',
        h('kbd', {}, 'Shift Enter'),
        ' new line ',
        h('kbd', {}, 'Esc'),
        ' stops ',
        h('kbd', {}, '?'),
        ' all keys',
      ),
    );
    this.#field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || isComposing(event)) return;
      event.preventDefault();
      this.#submit(event);
    });
    this.#field.addEventListener('input', () => {
      this.#fit();
      parts.changed();
    });
    this.#ticker.addEventListener('click', parts.openStory);
    this.setBusy(false);
  }

  get text(): string {
    return this.#field.value;
  }

  set text(text: string) {
    this.#field.value = text;
    this.#fit();
  }

  focus(): void {
    this.#fit();
    this.#field.focus({ preventScroll: true });
  }

  setBusy(isBusy: boolean): void {
    if (isBusy === this.#isBusy) return;
    this.#isBusy = isBusy;
    const label = isBusy ? 'Stop the answer' : 'Send the message';
    this.#button.setAttribute('aria-label', label);
    this.#button.title = label;
    this.#button.classList.toggle('stop', isBusy);
    fill(this.#button, icon(isBusy ? 'stop' : 'send'));
  }

  /** Shows a sentence of the story; empty: none. */
  setTicker(text: string): void {
    this.#ticker.hidden = text === '';
    setText(this.#ticker, text);
  }

  /** Shows the parameters that the next request has. */
  setParameters(texts: readonly string[]): void {
    const chips = texts.map((text) =>
      h('button', { type: 'button', class: 'chip', title: 'Parameters', click: this.#parts.openParameters }, text),
    );
    fill(this.#chips, ...chips);
    this.#chips.hidden = chips.length === 0;
  }

  #submit(event: Event): void {
    event.preventDefault();
    const isKey = event instanceof KeyboardEvent;
    if (this.#isBusy) {
      if (!isKey) this.#parts.stop();
      return;
    }
    const text = this.#field.value.trim();
    if (text === '') return;
    this.text = '';
    if (!this.#parts.send(text)) this.text = text;
  }

  #fit(): void {
    if (!this.#field.isConnected) return;
    this.#field.style.height = 'auto';
    this.#field.style.height = `${this.#field.scrollHeight}px`;
  }
}
