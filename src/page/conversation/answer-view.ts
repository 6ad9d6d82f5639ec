/** An answer of the model: its reasoning, its text, its tool calls, its end. */
import { copyButton } from '../controls/copy-button.ts';
import { h, setText } from '../dom.ts';
import { icon } from '../icons.ts';
import type { Answer } from '../state/answer.ts';
import type { AnswerTurn } from '../state/conversation.ts';
import { amount, counted, duration } from '../text/format.ts';
import type { Actions, TurnState, TurnView } from './actions.ts';
import { AnswerText } from './answer-text.ts';
import { BranchSwitch } from './branch-switch.ts';
import { FailureCard } from './failure-card.ts';
import { ToolCalls } from './tool-calls.ts';

export class AnswerView implements TurnView {
  readonly element: HTMLElement;
  readonly #turn: AnswerTurn;
  readonly #text = new AnswerText();
  readonly #reasoning = h('pre', { class: 'reasoning-text', tabindex: 0 });
  readonly #reasoningTitle = h('summary', {}, 'Reasoning');
  readonly #reasoningBlock = h('details', { class: 'reasoning' }, this.#reasoningTitle, this.#reasoning);
  readonly #calls: ToolCalls;
  readonly #failure: FailureCard;
  readonly #branches: BranchSwitch;
  readonly #meta = h('span', { class: 'meta' });
  readonly #again: HTMLButtonElement;
  readonly #story: HTMLButtonElement;
  readonly #tools: HTMLElement;

  constructor(turn: AnswerTurn, actions: Actions) {
    this.#turn = turn;
    this.#calls = new ToolCalls(turn, actions);
    this.#failure = new FailureCard(() => actions.regenerate(turn));
    this.#branches = new BranchSwitch((by) => actions.branch(turn, by));
    const again = {
      class: 'quiet icon-button again',
      type: 'button',
      'aria-label': 'Generate again',
      title: 'Generate again',
    };
    this.#again = h('button', { ...again, click: () => actions.regenerate(turn) }, icon('again'));
    const story = {
      class: 'quiet icon-button tell',
      type: 'button',
      'aria-label': 'Show its story',
      title: 'Show its story',
    };
    this.#story = h('button', { ...story, click: () => actions.showStory(turn) }, icon('story'));
    this.#tools = h(
      'div',
      { class: 'tools' },
      this.#branches.element,
      this.#meta,
      copyButton('answer', () => turn.answer.text),
      this.#again,
      this.#story,
    );
    this.element = h(
      'article',
      { class: 'turn answer', 'aria-label': 'Answer' },
      this.#reasoningBlock,
      this.#text.element,
      this.#calls.element,
      this.#failure.element,
      this.#tools,
    );
  }

  update(state: TurnState): void {
    const { answer } = this.#turn;
    const { text, reasoning, status, calls } = answer;
    const isRunning = status === 'running';
    this.element.classList.toggle('running', isRunning);
    this.element.classList.toggle('waiting', isRunning && text === '' && reasoning === '' && calls.length === 0);
    this.element.classList.toggle('told', state.isTold);
    this.element.setAttribute('aria-busy', String(isRunning));
    this.#reasoningBlock.hidden = reasoning === '';
    setText(this.#reasoningTitle, isRunning && text === '' ? 'Reasoning…' : 'Reasoning');
    setText(this.#reasoning, reasoning.trim());
    this.#text.update(text, isRunning);
    this.#calls.update(state);
    this.#failure.update(answer, state.isBusy);
    this.#branches.update(state);
    this.#tools.hidden = isRunning;
    this.#again.disabled = state.isBusy;
    this.#story.setAttribute('aria-pressed', String(state.isTold));
    setText(this.#meta, metaOf(answer));
  }
}

/** "25 tokens · 1,640 tokens/s · 24 ms". */
function metaOf({ status, story }: Answer): string {
  const speed = story.sentences.findLast(({ event }) => event === 'inference.complete')?.facts['tokens_per_sec'];
  const parts = [
    status === 'complete' ? undefined : status,
    counted(story.end?.tokens_out ?? story.tokens, 'token'),
    typeof speed === 'number' && speed > 0 ? `${amount(speed)} tokens/s` : undefined,
    story.spent ? duration(story.spent.duration) : undefined,
    story.end?.stop_reason === 'max_tokens' ? 'cut at max_tokens' : undefined,
  ];
  return parts.filter((part) => part !== undefined).join(' · ');
}
