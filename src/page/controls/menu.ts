/** The menu of the header: export, import, and the preferences of the person. */
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import type { Taste, Theme } from '../state/storage.ts';

export interface MenuParts {
  readonly taste: Taste;
  readonly setTaste: (change: Partial<Taste>) => void;
  readonly exportJson: () => void;
  readonly exportMarkdown: () => void;
  readonly importFile: (text: string) => void;
  readonly openKeys: () => void;
}

const THEMES: readonly (readonly [Theme, string])[] = [
  ['auto', 'system'],
  ['light', 'light'],
  ['dark', 'dark'],
];

export class Menu {
  readonly element: HTMLDetailsElement;
  readonly #cute: HTMLInputElement;
  readonly #parts: MenuParts;

  constructor(parts: MenuParts) {
    this.#parts = parts;
    const { taste, setTaste } = parts;
    this.#cute = h('input', { type: 'checkbox', id: 'cute', checked: taste.cute });
    this.#cute.addEventListener('change', () => setTaste({ cute: this.#cute.checked }));
    const file = h('input', { type: 'file', accept: '.json,application/json', class: 'visually-hidden', tabindex: -1 });
    file.setAttribute('aria-hidden', 'true');
    file.addEventListener('change', () => {
      // A file that cannot be read is like one that is no conversation.
      void file.files?.[0]
        ?.text()
        .catch(() => '')
        .then(parts.importFile);
      file.value = '';
      this.#close();
    });
    this.element = h(
      'details',
      { class: 'menu popover' },
      h('summary', { 'aria-label': 'Menu', title: 'Menu' }, icon('more')),
      h(
        'div',
        { class: 'sheet' },
        this.#item('Export as JSON', parts.exportJson),
        this.#item('Export as Markdown', parts.exportMarkdown),
        this.#item('Import JSON…', () => file.click()),
        file,
        h('hr'),
        h('p', { class: 'check' }, this.#cute, h('label', { for: 'cute' }, 'Playful sentences')),
        themes(taste.theme, (theme) => setTaste({ theme })),
        h('hr'),
        this.#item('Keys', parts.openKeys),
      ),
    );
  }

  /** Turns the playful sentences on or off. */
  toggleCute(): void {
    this.#cute.checked = !this.#cute.checked;
    this.#parts.setTaste({ cute: this.#cute.checked });
  }

  #item(label: string, run: () => void): HTMLElement {
    const click = (): void => {
      this.#close();
      run();
    };
    return h('button', { type: 'button', class: 'item', click }, label);
  }

  #close(): void {
    this.element.open = false;
  }
}

function themes(chosen: Theme, choose: (theme: Theme) => void): HTMLElement {
  const choices = THEMES.map(([theme, label]) => {
    const radio = h('input', { type: 'radio', name: 'theme', value: theme, checked: theme === chosen });
    radio.addEventListener('change', () => choose(theme));
    return h('label', {}, radio, label);
  });
  return h('fieldset', { class: 'themes' }, h('legend', {}, 'Colours'), ...choices);
}

/** Closes an open popover when the person clicks elsewhere or presses Esc. */
export function closePopoversOutside(): void {
  const open = (): readonly HTMLDetailsElement[] => [
    ...document.querySelectorAll<HTMLDetailsElement>('details.popover[open]'),
  ];
  document.addEventListener('click', (event) => {
    for (const one of open()) if (event.target instanceof Node && !one.contains(event.target)) one.open = false;
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    for (const one of open()) {
      one.open = false;
      one.querySelector('summary')?.focus();
      event.stopImmediatePropagation();
    }
  });
}
