/** The tool calls of an answer as cards, with fields for the results that the person types. */
import { fill, h } from '../dom.ts';
import type { AnswerTurn } from '../state/conversation.ts';
import { highlightedJson, prettyJson } from '../text/json.ts';
import type { Actions, TurnState } from './actions.ts';

export class ToolCalls {
  readonly element = h('div', { class: 'calls' });
  readonly #turn: AnswerTurn;
  readonly #actions: Actions;
  #key = '';

  constructor(turn: AnswerTurn, actions: Actions) {
    this.#turn = turn;
    this.#actions = actions;
  }

  update({ isBusy, isFollowed }: TurnState): void {
    const { calls, status } = this.#turn.answer;
    const asks = status === 'complete' && !isFollowed && calls.length > 0;
    const key = JSON.stringify([calls, asks, asks && isBusy]);
    if (key === this.#key) return;
    this.#key = key;
    const fields = calls.map(({ name }) =>
      h('textarea', {
        rows: 2,
        'aria-label': `Result of ${name}`,
        placeholder: 'The result of the tool, as text or JSON',
      }),
    );
    const cards = calls.map(({ name, arguments: text }, index) =>
      h(
        'div',
        { class: 'card call' },
        h('p', { class: 'card-title' }, 'Tool call ', h('code', {}, name)),
        highlightedJson(prettyJson(text) ?? text),
        asks && fields[index],
      ),
    );
    const send = (): void =>
      this.#actions.sendResults(
        this.#turn,
        calls.map(({ id, name }, index) => ({ callId: id, name, content: fields[index]?.value ?? '' })),
      );
    const button =
      asks &&
      h('button', { type: 'button', class: 'primary', disabled: isBusy, click: send }, 'Continue with these results');
    fill(this.element, ...cards, button);
  }
}
