/** The keys of the page, and the list of them. */
import { h, isComposing } from '../dom.ts';

export interface Shortcut {
  /** The value of `key` of the event. */
  readonly key: string;
  readonly label: string;
  readonly run: () => void;
}

/** Keys that work in fields; the page handles them where they happen. */
const FIXED: readonly (readonly [string, string])[] = [
  ['Enter', 'send the message'],
  ['Shift Enter', 'new line'],
  ['Esc', 'stop the answer, or close'],
];

export class Shortcuts {
  readonly element: HTMLDialogElement;
  readonly #shortcuts: readonly Shortcut[];
  readonly #isOn: () => boolean;

  constructor(shortcuts: readonly Shortcut[], isOn: () => boolean, setOn: (isOn: boolean) => void) {
    this.#shortcuts = [...shortcuts, { key: '?', label: 'this list', run: () => this.open() }];
    this.#isOn = isOn;
    const box = h('input', { type: 'checkbox', id: 'single-keys', checked: isOn() });
    box.addEventListener('change', () => setOn(box.checked));
    const rows = [...FIXED, ...this.#shortcuts.map(({ key, label }) => [key, label] as const)];
    this.element = h(
      'dialog',
      { class: 'dialog', 'aria-labelledby': 'keys-title' },
      h('h2', { id: 'keys-title' }, 'Keys'),
      h(
        'dl',
        { class: 'keys' },
        ...rows.map(([key, label]) => h('div', {}, h('dt', {}, h('kbd', {}, key)), h('dd', {}, label))),
      ),
      h(
        'p',
        { class: 'check' },
        box,
        h('label', { for: 'single-keys' }, 'Single keys are shortcuts outside of fields'),
      ),
      h(
        'div',
        { class: 'buttons' },
        h('button', { type: 'button', class: 'primary', click: () => this.element.close() }, 'Close'),
      ),
    );
  }

  open(): void {
    if (!this.element.open) this.element.showModal();
  }

  /** Runs the shortcut of a key, outside of fields and dialogs. */
  press(event: KeyboardEvent): void {
    if (!this.#isOn() || event.ctrlKey || event.metaKey || event.altKey || isComposing(event)) return;
    if (isField(event.target) || document.querySelector('dialog[open]')) return;
    const shortcut = this.#shortcuts.find(({ key }) => key === event.key);
    if (!shortcut) return;
    event.preventDefault();
    shortcut.run();
  }
}

/** True for a field that takes text or letters. A closed dialog can still have the focus. */
const FIELDS = 'input:not([type=checkbox], [type=radio]), textarea, select';
const isField = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.closest(FIELDS) !== null && target.checkVisibility();
