/** The answer to completions without a stream: one `text_completion`, written when the job has ended. */
import type { JobEvent } from '../../../jobs/job-events.ts';
import { JSON_TYPE } from '../../dialect/answer.ts';
import type { DialectEncoder } from '../../dialect/dialect-encoder.ts';
import { DocumentEnd } from '../shared/document.ts';
import { UsageCounter } from '../shared/usage.ts';
import { type CompletionAnswer, CompletionChoices } from './answer.ts';

export class CompletionDocumentEncoder implements DialectEncoder {
  readonly contentType = JSON_TYPE;
  readonly #answer: CompletionAnswer;
  readonly #choices: CompletionChoices;
  readonly #usage = new UsageCounter();
  readonly #end: DocumentEnd;

  constructor(answer: CompletionAnswer) {
    this.#answer = answer;
    this.#choices = new CompletionChoices(answer);
    this.#end = new DocumentEnd(answer.narrates);
  }

  get status(): number {
    return this.#end.status;
  }

  encode(event: JobEvent): string | undefined {
    this.#usage.count(event);
    this.#choices.count(event);
    switch (event.type) {
      case 'token':
        this.#choices.of(event.choice ?? 0).token(event);
        return undefined;
      case 'choice_end':
        this.#choices.of(event.choice).end(event);
        return undefined;
      case 'narration':
        this.#end.narration(event);
        return undefined;
      case 'error':
        this.#choices.clear();
        return this.#end.error(event);
      case 'end':
        return this.#document();
      default:
        return undefined;
    }
  }

  #document(): string {
    const { head, inputs, choices } = this.#answer;
    const all = Array.from({ length: inputs.length * choices }, (_, index) => this.#choices.of(index).take(index));
    this.#choices.clear();
    return this.#end.document(head, 'text_completion', all, this.#usage.total);
  }
}
