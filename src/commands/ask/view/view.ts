/** The form of a view: it shows one run to its user. Types only. */
import type { StreamEvent } from '../../../contract/events.ts';
import type { Sentence } from '../worker/own-worker.ts';

export interface View {
  /** A sentence before the run, of the worker that starts. */
  hear(sentence: Sentence): void;
  /** An event of the run, in order. */
  show(event: StreamEvent): void;
  /** Ends the view after the last event, or after an error. The last line is complete then. */
  end(): void;
}
