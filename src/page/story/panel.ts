/** The panel beside the conversation: the story of one answer, as it happens. */
import { fill, framed, h, setText } from '../dom.ts';
import { bee } from '../icons.ts';
import type { Answer } from '../state/answer.ts';
import { amount, duration } from '../text/format.ts';
import { now } from '../worker/runner.ts';
import { causeList } from './cause-list.ts';
import { Chart } from './chart.ts';
import { place } from './clock.ts';
import { SentenceList } from './sentences.ts';
import { factList, timeSection } from './spent.ts';
import { type Phase, phaseOf } from './story.ts';

/** An answer that takes no longer is shown as a short replay, so that the eye can follow. */
const REPLAY_BELOW_MS = 1500;
/** Distance from the end of the sentences at which the panel follows new ones, in pixels. */
const NEAR_END = 160;
/** Time between two drawings of a request that runs without an event. */
const TICK_MS = 100;

const WORDS: Readonly<Record<Phase, string>> = {
  preparing: 'getting ready',
  queued: 'waiting for a slot',
  reading: 'reading the prompt',
  writing: 'writing',
  paused: 'paused',
  interrupted: 'interrupted',
  finishing: 'finishing',
};
const LEGEND: readonly Phase[] = ['preparing', 'queued', 'reading', 'writing', 'paused', 'interrupted'];

export class StoryPanel {
  readonly element: HTMLElement;
  readonly #chart = new Chart();
  readonly #list = new SentenceList();
  readonly #state = h('p', { class: 'state' });
  readonly #legend = h(
    'ul',
    { class: 'legend', 'aria-hidden': 'true' },
    ...LEGEND.map((phase) => h('li', {}, h('span', { class: `swatch phase-${phase}` }), WORDS[phase])),
  );
  readonly #causes = h('div', { class: 'why' });
  readonly #time = h('div', { class: 'time' });
  readonly #facts = h('div', { class: 'about' });
  readonly #scroll = h(
    'div',
    { class: 'story-scroll', tabindex: 0, role: 'region', 'aria-label': 'Sentences and facts' },
    this.#list.element,
    this.#facts,
  );
  readonly #body: HTMLElement;
  readonly #empty: HTMLElement;
  readonly #isCute: () => boolean;
  readonly #draw = framed(() => this.#drawNow());
  #answer: Answer | undefined;
  #summarized: unknown;
  /** False while the person has scrolled up. */
  #follows = true;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(isCute: () => boolean, close: () => void) {
    this.#isCute = isCute;
    this.#body = h(
      'div',
      { class: 'story-body' },
      this.#chart.element,
      this.#causes,
      this.#legend,
      this.#time,
      this.#scroll,
    );
    this.#empty = h(
      'div',
      { class: 'story-empty' },
      bee(),
      h('p', {}, 'Every answer has a story: the wait, the reading, the writing, and the reasons for its speed.'),
      h('p', {}, 'It appears here as it happens.'),
    );
    this.element = h(
      'aside',
      { class: 'story', 'aria-label': 'Story of the answer' },
      h(
        'header',
        {},
        h('h2', {}, 'Story'),
        this.#state,
        h('button', { class: 'quiet close-story', type: 'button', click: close }, 'Close'),
      ),
      this.#empty,
      this.#body,
    );
    this.#scroll.addEventListener('scroll', () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
      this.#follows = scrollHeight - scrollTop - clientHeight < NEAR_END;
    });
    this.show(undefined);
  }

  /** Shows the story of an answer from now on. */
  show(answer: Answer | undefined): void {
    if (answer !== this.#answer) {
      this.#list.clear();
      this.#summarized = undefined;
      this.#follows = true;
    }
    this.#answer = answer;
    this.#empty.hidden = answer !== undefined;
    this.#body.hidden = answer === undefined;
    this.update();
  }

  /** Draws again, once in the next frame. */
  update(): void {
    this.#draw();
    const isLive = this.#answer?.status === 'running';
    if (isLive) this.#timer ??= setInterval(() => this.#draw(), TICK_MS);
    else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #drawNow(): void {
    const answer = this.#answer;
    this.element.classList.toggle('live', answer?.status === 'running');
    setText(this.#state, answer ? stateOf(answer) : '');
    if (!answer) return;
    const { story } = answer;
    const isLive = answer.status === 'running';
    const isShort = (story.endedAt ?? now() - story.sentAt) < REPLAY_BELOW_MS;
    this.element.classList.toggle('replay', isShort);
    const placed = place(story, now() - story.sentAt);
    this.#chart.draw({ placed, sentences: story.sentences, isLive });
    fill(this.#causes, causeList(story.sentences, placed.times));
    this.#list.draw(story.sentences, {
      isCute: this.#isCute(),
      times: placed.times,
      onPoint: (index) => this.#chart.highlight(index),
    });
    // A short story is read from its beginning.
    if (isLive && !isShort && this.#follows) this.#scroll.scrollTop = this.#scroll.scrollHeight;
    const summarized = story.end ?? (isLive ? story.seed : answer.status);
    if (summarized === this.#summarized) return;
    this.#summarized = summarized;
    const time = timeSection(story);
    this.#legend.hidden = time !== undefined;
    fill(this.#time, time);
    fill(this.#facts, factList(story));
  }
}

function stateOf({ status, story }: Answer): string {
  if (status === 'running') {
    const speed = story.speed !== undefined && story.speed > 0 ? `, ${amount(story.speed)} tokens/s` : '';
    return `${WORDS[phaseOf(story)]}${speed}`;
  }
  const time = story.spent?.duration ?? story.endedAt;
  const after = time === undefined ? '' : ` ${status === 'complete' ? 'in' : 'after'} ${duration(time)}`;
  return `${status}${after}`;
}
