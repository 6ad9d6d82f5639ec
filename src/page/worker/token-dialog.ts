/** Asks for the token of a worker that requires one. The token stays in this tab. */
import { h, setText } from '../dom.ts';

export class TokenDialog {
  readonly element: HTMLDialogElement;
  readonly #field = h('input', {
    type: 'password',
    id: 'token',
    autocomplete: 'off',
    required: true,
    spellcheck: 'false',
  });
  readonly #note = h('p', { class: 'note', role: 'status' });
  #hasTried = false;

  constructor(save: (token: string) => void) {
    const submit = (event: Event): void => {
      event.preventDefault();
      if (this.#field.value === '') return;
      this.#hasTried = true;
      this.element.close();
      save(this.#field.value);
    };
    this.element = h(
      'dialog',
      { class: 'dialog', 'aria-labelledby': 'token-title' },
      h(
        'form',
        { submit },
        h('h2', { id: 'token-title' }, 'This worker requires a token'),
        h('p', {}, 'It was started with --api-token. The token stays in this tab and is forgotten when you close it.'),
        h('label', { for: 'token' }, 'Token'),
        this.#field,
        this.#note,
        h('div', { class: 'buttons' }, h('button', { class: 'primary', type: 'submit' }, 'Continue')),
      ),
    );
  }

  open(): void {
    if (this.element.open) return;
    setText(this.#note, this.#hasTried ? 'The worker does not accept this token.' : '');
    this.element.showModal();
    this.#field.select();
  }
}
