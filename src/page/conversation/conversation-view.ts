/** The turns of the chosen branches, in order. The view of a turn is kept while the turn is shown. */
import { h } from '../dom.ts';
import type { Conversation, Turn } from '../state/conversation.ts';
import type { Actions, TurnView } from './actions.ts';
import { AnswerView } from './answer-view.ts';
import { ResultsView, UserView } from './user-view.ts';

export interface Shown {
  readonly conversation: Conversation;
  /** The turn whose story the panel shows. */
  readonly told: string | undefined;
  readonly isBusy: boolean;
}

export class ConversationView {
  readonly element = h('div', { class: 'turns' });
  readonly #actions: Actions;
  #views = new Map<string, TurnView>();

  constructor(actions: Actions) {
    this.#actions = actions;
  }

  draw({ conversation, told, isBusy }: Shown): void {
    const { path } = conversation;
    const views = new Map<string, TurnView>();
    for (const [index, turn] of path.entries()) {
      const view = this.#views.get(turn.id) ?? this.#viewOf(turn);
      views.set(turn.id, view);
      const branches = conversation.branches(turn);
      view.update({
        branch: { index: branches.index, count: branches.ids.length },
        isTold: turn.id === told,
        isBusy,
        isFollowed: index < path.length - 1,
      });
      if (this.element.children[index] !== view.element)
        this.element.insertBefore(view.element, this.element.children[index] ?? null);
    }
    for (const [id, { element }] of this.#views) if (!views.has(id)) element.remove();
    this.#views = views;
  }

  /** Forgets all views: turns of another conversation can have the same ids. */
  clear(): void {
    this.#views.clear();
    this.element.replaceChildren();
  }

  /** Opens the last message of the person for an edit. */
  editLast(): void {
    [...this.#views.values()].findLast((view) => view instanceof UserView)?.edit();
  }

  #viewOf(turn: Turn): TurnView {
    if (turn.kind === 'user') return new UserView(turn, this.#actions);
    if (turn.kind === 'results') return new ResultsView(turn, this.#actions);
    return new AnswerView(turn, this.#actions);
  }
}
