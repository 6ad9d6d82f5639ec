/** Switches between the branches of a turn: ‹ 1/2 ›. */
import { h, setText } from '../dom.ts';
import { icon } from '../icons.ts';
import type { TurnState } from './actions.ts';

export class BranchSwitch {
  readonly element: HTMLElement;
  readonly #label = h('span', { class: 'branch-number' });
  readonly #previous: HTMLButtonElement;
  readonly #next: HTMLButtonElement;

  constructor(go: (by: number) => void) {
    const button = (label: string, name: 'previous' | 'next', by: number): HTMLButtonElement =>
      h('button', { class: 'quiet icon-button', type: 'button', 'aria-label': label, click: () => go(by) }, icon(name));
    this.#previous = button('Previous branch', 'previous', -1);
    this.#next = button('Next branch', 'next', 1);
    this.element = h(
      'span',
      { class: 'branches', role: 'group', 'aria-label': 'Branches' },
      this.#previous,
      this.#label,
      this.#next,
    );
  }

  update({ branch: { index, count }, isBusy }: TurnState): void {
    this.element.hidden = count < 2;
    setText(this.#label, `${index + 1}/${count}`);
    this.#previous.disabled = isBusy || index === 0;
    this.#next.disabled = isBusy || index === count - 1;
  }
}
