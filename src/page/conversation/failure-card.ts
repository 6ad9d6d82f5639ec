/** The reason why an answer is not complete: the worker's sentence, its code, and when to try again. */
import { fill, h, setText } from '../dom.ts';
import type { Answer, Failure } from '../state/answer.ts';

const ADVICE: Readonly<Record<string, string>> = {
  here: 'The same request can succeed on this worker.',
  elsewhere: 'Another worker can take the request at once; this one may not recover soon.',
  never: 'The request must change first.',
};
/** Advice that is better than the general one, by code. */
const BY_CODE: Readonly<Record<string, string>> = {
  NOT_FOUND: 'The worker no longer has the rest of this answer. Generate it again.',
  GONE: 'The worker no longer has the rest of this answer. Generate it again.',
  OTHER_RUN: 'The worker no longer has the rest of this answer. Generate it again.',
  PROMPT_TOO_LONG: 'Begin a new conversation, or edit an earlier message.',
  UNAUTHORIZED: 'Type the token of the worker, then try again.',
};
/** Codes after which the same request succeeds at another time, although the worker says never. */
const CAN_SUCCEED: ReadonlySet<string> = new Set(['NOT_FOUND', 'GONE', 'OTHER_RUN', 'UNAUTHORIZED']);
const TICK_MS = 250;

export class FailureCard {
  readonly element = h('div', { class: 'card failure', hidden: true });
  readonly #again: () => void;
  #shown: Failure | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(again: () => void) {
    this.#again = again;
  }

  update({ failure }: Answer, isBusy: boolean): void {
    this.element.hidden = failure === undefined;
    if (failure === this.#shown) return;
    this.#shown = failure;
    clearInterval(this.#timer);
    if (!failure) return;
    const advice = BY_CODE[failure.code] ?? ADVICE[failure.retry ?? ''];
    const button = h('button', { type: 'button', class: 'primary', disabled: isBusy, click: this.#again }, 'Try again');
    fill(
      this.element,
      h('p', { class: 'card-title' }, failure.message, ' ', h('code', {}, failure.code)),
      ...(failure.violations ?? []).map((text) => h('p', { class: 'violation' }, text)),
      advice !== undefined && h('p', { class: 'advice' }, advice),
      (failure.retry !== 'never' || CAN_SUCCEED.has(failure.code)) && button,
    );
    if (failure.retryAt !== undefined) this.#countDown(button, failure.retryAt);
  }

  #countDown(button: HTMLButtonElement, until: number): void {
    const tick = (): void => {
      const seconds = Math.ceil((until - Date.now()) / 1000);
      button.disabled = seconds > 0;
      setText(button, seconds > 0 ? `Try again in ${seconds} s` : 'Try again');
      if (seconds <= 0) clearInterval(this.#timer);
    };
    this.#timer = setInterval(tick, TICK_MS);
    tick();
  }
}
