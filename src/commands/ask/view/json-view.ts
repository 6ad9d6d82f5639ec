/** The view for programs: each event as one line of JSON on standard output, as the worker sends it. */
import type { StreamEvent } from '../../../contract/events.ts';
import type { Terminal } from '../../terminal.ts';
import type { View } from './view.ts';

export class JsonView implements View {
  readonly #out: Terminal;

  constructor(out: Terminal) {
    this.#out = out;
  }

  /** Only events are lines: a worker that starts has no request yet. */
  hear(): void {}

  show(event: StreamEvent): void {
    const line = JSON.stringify(event);
    // JSON leaves some characters as they are that a terminal executes.
    if (this.#out.isTTY) this.#out.write(`${line}\n`);
    else this.#out.writeExactly(`${line}\n`);
  }

  end(): void {}
}
