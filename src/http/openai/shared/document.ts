/** The end of an answer without a stream: a document, or an error with its HTTP status. */
import type { EventBody } from '../../../contract/events.ts';
import type { JobError } from '../../dialect/dialect-encoder.ts';
import { failureStatus } from '../../dialect/refusal.ts';
import { openAIJobError } from '../errors.ts';
import type { AnswerHead } from './order.ts';
import type { Usage } from './usage.ts';

export class DocumentEnd {
  /** HTTP status of the answer. */
  status = 200;
  readonly #narrations: object[] | undefined;

  /** @param narrates true if the answer carries the narration */
  constructor(narrates: boolean) {
    this.#narrations = narrates ? [] : undefined;
  }

  /** Keeps a narration for the answer: the event of the native stream. */
  narration(event: EventBody<'narration'>): void {
    this.#narrations?.push(event);
  }

  /** The answer of a failed job. */
  error(error: JobError): string {
    this.status = failureStatus(error);
    return JSON.stringify({ error: openAIJobError(error), ...this.#more });
  }

  /**
   * The answer of a complete job.
   * @param object kind of the document, such as `chat.completion`
   * @param choices JSON of each choice
   */
  document({ id, ...head }: AnswerHead, object: string, choices: readonly string[], usage: Usage): string {
    const start = JSON.stringify({ id, object, ...head }).slice(0, -1);
    const end = JSON.stringify({ usage, ...this.#more }).slice(1);
    return `${start},"choices":[${choices.join(',')}],${end}`;
  }

  get #more(): object {
    return this.#narrations ? { narration: this.#narrations } : {};
  }
}
