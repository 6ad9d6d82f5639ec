/** The form of the parameters: system prompt, sampling, schema and tools. */
import { h, setText } from '../dom.ts';
import {
  CHOICE_FIELDS,
  NUMBER_FIELDS,
  type Parameters,
  problemOf,
  rangeText,
  TEXT_FIELDS,
} from '../state/parameters.ts';

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

export class ParametersDialog {
  readonly element: HTMLDialogElement;
  readonly #fields = new Map<string, Field>();
  readonly #notes = new Map<string, HTMLElement>();
  readonly #changed: (parameters: Parameters) => void;

  constructor(changed: (parameters: Parameters) => void) {
    this.#changed = changed;
    const close = (): void => this.element.close();
    this.element = h(
      'dialog',
      { class: 'dialog sheet-right', 'aria-labelledby': 'parameters-title' },
      h(
        'form',
        { method: 'dialog' },
        h(
          'header',
          {},
          h('h2', { id: 'parameters-title' }, 'Parameters'),
          h('button', { type: 'button', class: 'quiet', click: () => this.#reset() }, 'Reset'),
          h('button', { type: 'button', class: 'primary', click: close }, 'Done'),
        ),
        this.#area('system', 'System prompt', 'Instructions before the conversation', 3),
        h(
          'div',
          { class: 'numbers' },
          ...NUMBER_FIELDS.map((field) => this.#number(field.name, rangeText(field), field.help)),
        ),
        ...TEXT_FIELDS.map(({ name, label, help, kind }) => this.#area(name, label, help, kind === 'lines' ? 2 : 4)),
        h(
          'div',
          { class: 'numbers' },
          ...Object.entries(CHOICE_FIELDS).map(([name, words]) => this.#choice(name, words)),
        ),
      ),
    );
    this.element.addEventListener('click', (event) => event.target === this.element && close());
  }

  /** Opens the form, at a field if one is named. */
  open(parameters: Parameters, name?: string): void {
    for (const [field, element] of this.#fields) {
      element.value = parameters[field] ?? (element instanceof HTMLSelectElement ? 'default' : '');
      this.#check(field);
    }
    if (!this.element.open) this.element.showModal();
    if (name !== undefined) this.#fields.get(name)?.focus();
  }

  #number(name: string, range: string, help: string): HTMLElement {
    const field = h('input', { inputmode: 'decimal', autocomplete: 'off', placeholder: range });
    return this.#row(name, name, help, field);
  }

  #area(name: string, label: string, help: string, rows: number): HTMLElement {
    return this.#row(name, label, help, h('textarea', { rows, spellcheck: name === 'system' ? 'true' : 'false' }));
  }

  #choice(name: string, words: readonly string[]): HTMLElement {
    const field = h('select', {}, ...words.map((word) => h('option', { value: word }, word)));
    return this.#row(name, name, '', field);
  }

  #row(name: string, label: string, help: string, field: Field): HTMLElement {
    const note = h('p', { class: 'note', id: `note-${name}` }, help);
    field.id = `field-${name}`;
    field.setAttribute('aria-describedby', note.id);
    field.addEventListener('input', () => {
      this.#check(name);
      this.#changed(Object.fromEntries([...this.#fields].map(([key, element]) => [key, element.value])));
    });
    this.#fields.set(name, field);
    this.#notes.set(name, note);
    note.dataset['help'] = help;
    return h('div', { class: 'row' }, h('label', { for: field.id }, label), field, note);
  }

  #check(name: string): void {
    const [field, note] = [this.#fields.get(name), this.#notes.get(name)];
    if (!field || !note) return;
    const problem = problemOf(name, field.value);
    field.setAttribute('aria-invalid', String(problem !== undefined));
    note.classList.toggle('problem', problem !== undefined);
    setText(note, problem ?? note.dataset['help'] ?? '');
  }

  #reset(): void {
    this.open({});
    this.#changed({});
  }
}
