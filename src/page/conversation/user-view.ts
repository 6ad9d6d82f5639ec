/** A message of the person, which can be edited: the edit begins a branch. */
import { fill, h, isComposing } from '../dom.ts';
import { icon } from '../icons.ts';
import type { ResultsTurn, UserTurn } from '../state/conversation.ts';
import type { Actions, TurnState, TurnView } from './actions.ts';
import { BranchSwitch } from './branch-switch.ts';

export class UserView implements TurnView {
  readonly element = h('article', { class: 'turn user', 'aria-label': 'Your message' });
  readonly #turn: UserTurn;
  readonly #actions: Actions;
  readonly #branches: BranchSwitch;
  readonly #edit: HTMLButtonElement;

  constructor(turn: UserTurn, actions: Actions) {
    this.#turn = turn;
    this.#actions = actions;
    this.#branches = new BranchSwitch((by) => actions.branch(turn, by));
    const edit = { class: 'quiet icon-button edit', type: 'button', 'aria-label': 'Edit the message', title: 'Edit' };
    this.#edit = h('button', { ...edit, click: () => this.edit() }, icon('edit'));
    this.#show();
  }

  update(state: TurnState): void {
    this.#branches.update(state);
    this.#edit.disabled = state.isBusy;
  }

  /** Replaces the message by a field with its text. */
  edit(): void {
    const field = h('textarea', { class: 'edit-field', 'aria-label': 'Edited message', rows: 3 });
    field.value = this.#turn.text;
    const send = (): void => {
      const text = field.value.trim();
      if (text === '' || this.#actions.edit(this.#turn, text)) this.#show();
    };
    const cancel = (): void => {
      this.#show();
      this.#edit.focus();
    };
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        cancel();
      }
      if (event.key !== 'Enter' || event.shiftKey || isComposing(event)) return;
      event.preventDefault();
      send();
    });
    fill(
      this.element,
      field,
      h(
        'div',
        { class: 'edit-buttons' },
        h('button', { type: 'button', class: 'quiet', click: cancel }, 'Cancel'),
        h('button', { type: 'button', class: 'primary', click: send }, 'Send as a new branch'),
      ),
    );
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  #show(): void {
    fill(
      this.element,
      h('div', { class: 'bubble' }, this.#turn.text),
      h('div', { class: 'tools' }, this.#branches.element, this.#edit),
    );
  }
}

/** The results of tools that the person typed. */
export class ResultsView implements TurnView {
  readonly element = h('article', { class: 'turn results', 'aria-label': 'Results of tools' });
  readonly #branches: BranchSwitch;

  constructor(turn: ResultsTurn, actions: Actions) {
    this.#branches = new BranchSwitch((by) => actions.branch(turn, by));
    const cards = turn.results.map(({ name, content }) =>
      h(
        'div',
        { class: 'card result' },
        h('p', { class: 'card-title' }, 'Result of ', h('code', {}, name)),
        h('pre', { class: 'code', tabindex: 0 }, content),
      ),
    );
    this.element.append(...cards, h('div', { class: 'tools' }, this.#branches.element));
  }

  update(state: TurnState): void {
    this.#branches.update(state);
  }
}
