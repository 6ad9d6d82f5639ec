/** The page before the first message. */
import { fill, h } from '../dom.ts';
import { bee } from '../icons.ts';

const HAIKU = [
  'Write a haiku about the sea',
  'A haiku about autumn rain',
  'The moon above a sleeping town',
  'Surprise me',
];
const OTHERS = [
  'Explain in three sentences why the sky is blue',
  'Write a haiku about bees',
  'Which questions should I ask about a slow server?',
];

export class Welcome {
  readonly element: HTMLElement;
  readonly #ideas = h('ul', { class: 'ideas', 'aria-label': 'Ideas' });
  readonly #back: HTMLButtonElement;
  #goBack: () => void = () => undefined;
  readonly #send: (text: string) => void;
  #model: string | undefined;

  constructor(send: (text: string) => void) {
    this.#send = send;
    const back = { type: 'button', class: 'quiet', hidden: true, click: () => this.#goBack() };
    this.#back = h('button', back, 'Back to the last conversation');
    this.element = h(
      'div',
      { class: 'welcome' },
      bee(),
      h('h2', {}, 'What shall we write?'),
      h('p', {}, 'A model on this worker answers. Its story appears beside the answer: every step, as it happens.'),
      this.#ideas,
      this.#back,
    );
  }

  /** Offers the way back to the last conversation: a single key can begin a new one by mistake. */
  offerBack(goBack: () => void): void {
    this.#goBack = goBack;
    this.#back.hidden = false;
  }

  setModel(model: string): void {
    if (model === this.#model) return;
    this.#model = model;
    const ideas = model === '' || model === 'haiku' ? HAIKU : OTHERS;
    fill(
      this.#ideas,
      ...ideas.map((text) =>
        h('li', {}, h('button', { type: 'button', class: 'idea', click: () => this.#send(text) }, text)),
      ),
    );
  }
}
