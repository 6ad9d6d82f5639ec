/**
 * The view for a terminal: the answer grows, and a pane below it has the last sentences of the narration and
 * the state of the run. At the end, one dim line with the figures stays.
 */
import type { StreamEvent } from '../../../contract/events.ts';
import { withReason } from '../../../narration/phrases.ts';
import { harmless } from '../../../narration/sanitize.ts';
import type { Terminal } from '../../terminal.ts';
import { fitToColumns, joinWithin } from '../../terminal-text.ts';
import type { Sentence } from '../worker/own-worker.ts';
import { AnswerOutput } from './answer-output.ts';
import { OutputFlow } from './output-flow.ts';
import { Pane, type PaneLine, type TextPiece } from './pane.ts';
import { RunStatus } from './run-status.ts';
import type { View } from './view.ts';

type Token = Extract<StreamEvent, { type: 'token' }>;

/** Shortest time between two drawings, and longest time until the next one. */
const DRAW_MS = 33;
const TICK_MS = 100;
/** Sentences in the pane. */
const SENTENCES = 3;
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const SEPARATOR = ' · ';

/** The streams of a live view, and its use of them. */
export interface LiveStreams {
  /** The terminal of the pane. */
  readonly terminal: Terminal;
  readonly out: Terminal;
  /**
   * The place of the answer: above the pane, or elsewhere. A pipe can end in the same terminal, so the pane
   * disappears before the first text, and nothing comes after it.
   */
  readonly answer: 'above' | 'file' | 'pipe';
  /** True: all sentences stay on the screen. */
  readonly keepsStory: boolean;
}

export class LiveView implements View {
  readonly #streams: LiveStreams;
  readonly #pane: Pane;
  readonly #flow = new OutputFlow();
  readonly #status = new RunStatus();
  readonly #sentences: (readonly string[])[] = [];
  readonly #offResize: () => void;
  readonly #ticks: NodeJS.Timeout;
  /** The answer, if it is not above the pane. */
  readonly #elsewhere: AnswerOutput | undefined;
  #isHidden = false;
  #pending: TextPiece[] = [];
  #drawnAt = Number.NEGATIVE_INFINITY;
  #frame = 0;
  #drawing: NodeJS.Timeout | undefined;
  #failure: string | undefined;

  constructor(streams: LiveStreams) {
    this.#streams = streams;
    this.#pane = new Pane(streams.terminal, streams.out);
    this.#elsewhere = streams.answer === 'above' ? undefined : new AnswerOutput(streams.out);
    this.#offResize = streams.terminal.onResize(() => this.#draw());
    this.#ticks = setInterval(() => {
      this.#frame += 1;
      this.#draw();
    }, TICK_MS).unref();
    this.#draw();
  }

  hear({ human, cute }: Sentence): void {
    this.#sentences.push([human, cute ?? ''].map(harmless));
    if (!this.#streams.keepsStory && this.#sentences.length > SENTENCES) this.#sentences.shift();
    this.#soon();
  }

  show(event: StreamEvent): void {
    this.#status.take(event);
    if (event.type === 'narration') {
      const { human, reason, cute } = event;
      this.hear({ human: withReason(human, reason), cute, isWarning: false });
    }
    if (event.type === 'token') this.#token(event);
    if (event.type === 'error') this.#failure = `${event.code}: ${event.message}`;
    this.#soon();
  }

  #token(event: Token): void {
    if (!this.#elsewhere) this.#pending.push(...this.#flow.next(event));
    else if (event.part === undefined) {
      if (this.#streams.answer === 'pipe' && !this.#isHidden) this.#hide();
      this.#elsewhere.write(event.t);
    }
  }

  #hide(): void {
    this.#pane.close();
    this.#isHidden = true;
  }

  end(): void {
    clearInterval(this.#ticks);
    clearTimeout(this.#drawing);
    this.#offResize();
    if (this.#pending.length > 0) this.#draw();
    this.#pane.close();
    this.#elsewhere?.end();
    // The reader of the pipe may still write to this terminal, or have all of it.
    if (this.#isHidden) return;
    const { terminal, keepsStory } = this.#streams;
    if (keepsStory)
      for (const sentence of this.#sentences)
        terminal.write({ style: 'dim', text: sentence.join(' ').trimEnd() }, '\n');
    const { summary } = this.#status;
    if (summary.length > 0)
      terminal.write({ style: 'dim', text: joinWithin(summary, SEPARATOR, terminal.columns - 1) }, '\n');
  }

  /** Draws now, or at the end of the shortest time between two drawings. */
  #soon(): void {
    const wait = this.#drawnAt + DRAW_MS - performance.now();
    if (wait <= 0) this.#draw();
    else this.#drawing ??= setTimeout(() => this.#draw(), wait);
  }

  #draw(): void {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    this.#drawnAt = performance.now();
    if (this.#isHidden) return;
    const text = this.#pending;
    this.#pending = [];
    this.#pane.draw(text, this.#lines());
  }

  #lines(): readonly PaneLine[] {
    const width = this.#streams.terminal.columns - 1;
    const sentences = this.#sentences
      .slice(-SENTENCES)
      .map((parts): PaneLine => ({ style: 'dim', text: joinWithin(parts, ' ', width).trimEnd() }));
    const [first = '', ...others] = this.#status.current;
    const spinner = SPINNER[this.#frame % SPINNER.length] ?? '';
    const status = this.#failure ?? joinWithin([`${spinner} ${first}`, ...others], SEPARATOR, width);
    return [...sentences, { style: 'cyan', text: fitToColumns(status, width) }];
  }
}
