/**
 * The view for files, pipes and terminals that cannot redraw: the answer alone on standard output, and one
 * line for each sentence of the narration on standard error.
 */
import type { StreamEvent } from '../../../contract/events.ts';
import { withReason } from '../../../narration/phrases.ts';
import type { Piece, Terminal } from '../../terminal.ts';
import type { Sentence } from '../worker/own-worker.ts';
import { AnswerOutput } from './answer-output.ts';
import { RunStatus } from './run-status.ts';
import type { View } from './view.ts';

export interface PlainStreams {
  readonly out: Terminal;
  readonly err: Terminal;
  /** False: neither narration nor figures. */
  readonly narrates: boolean;
}

export class PlainView implements View {
  readonly #streams: PlainStreams;
  readonly #status = new RunStatus();
  readonly #answer: AnswerOutput;
  /** True: lines wait until the answer is complete, because both streams end in the same place. */
  readonly #waits: boolean;
  #waiting: (readonly Piece[])[] = [];
  /** The tool call whose arguments arrive. */
  #call: string | undefined;

  constructor(streams: PlainStreams) {
    this.#streams = streams;
    this.#answer = new AnswerOutput(streams.out);
    this.#waits = streams.out.sharesTargetWith(streams.err);
  }

  /** Only warnings: the start of a worker has many sentences that say nothing about the request. */
  hear({ human, cute, isWarning }: Sentence): void {
    if (isWarning) this.#tell(human, cute);
  }

  show(event: StreamEvent): void {
    this.#status.take(event);
    if (event.type === 'narration') this.#tell(withReason(event.human, event.reason), event.cute);
    if (event.type !== 'token') return;
    const { part, t } = event;
    if (part === undefined) this.#answer.write(t);
    if (part === 'tool_name') {
      this.#endCall();
      this.#call = `→ ${t} `;
    }
    if (part === 'tool_arguments') this.#call = (this.#call ?? '') + t;
  }

  end(): void {
    this.#endCall();
    this.#answer.end();
    for (const line of this.#waiting) this.#streams.err.write(...line);
    this.#waiting = [];
    const { summary } = this.#status;
    if (this.#streams.narrates && summary.length > 0)
      this.#streams.err.write({ style: 'dim', text: summary.join(' · ') }, '\n');
  }

  #endCall(): void {
    if (this.#call !== undefined) this.#line([{ style: 'cyan', text: this.#call.replaceAll('\n', ' ') }, '\n']);
    this.#call = undefined;
  }

  #tell(human: string, cute: string | undefined): void {
    if (!this.#streams.narrates) return;
    const end: Piece = cute === undefined ? '' : { style: 'dim', text: ` ${cute}` };
    this.#line([human.replaceAll('\n', ' '), end, '\n']);
  }

  #line(pieces: readonly Piece[]): void {
    if (this.#waits && this.#answer.hasText) this.#waiting.push(pieces);
    else this.#streams.err.write(...pieces);
  }
}
