/** The answer of `POST /v1/responses` without a stream: one response object, or one error. */
import type { JobEvent } from '../../../jobs/job-events.ts';
import { JSON_TYPE } from '../../dialect/answer.ts';
import type { DialectEncoder } from '../../dialect/dialect-encoder.ts';
import { failureStatus } from '../../dialect/refusal.ts';
import { openAIJobError } from '../errors.ts';
import { type ResponseFacts, ResponseState } from './response.ts';
import type { SendOptions } from './stream-encoder.ts';

export class ResponsesDocumentEncoder implements DialectEncoder {
  readonly contentType = JSON_TYPE;
  readonly #state: ResponseState;
  readonly #options: Omit<SendOptions, 'keepAlive'>;
  readonly #narrations: object[] = [];
  #status = 200;

  constructor(facts: ResponseFacts, options: Omit<SendOptions, 'keepAlive'>) {
    this.#state = new ResponseState(facts, () => undefined);
    this.#options = options;
  }

  get status(): number {
    return this.#status;
  }

  encode(event: JobEvent): string | undefined {
    switch (event.type) {
      case 'started':
        this.#state.begin(event.started_at);
        return undefined;
      case 'token':
        this.#state.add(event);
        return undefined;
      case 'choice_end':
        this.#state.close(event);
        return undefined;
      case 'narration':
        if (this.#options.narration) this.#narrations.push({ ...event, correlation_id: this.#options.correlationId });
        return undefined;
      case 'end':
        return this.#document(this.#state.complete(event));
      case 'error':
        this.#status = failureStatus(event);
        return this.#document({ error: openAIJobError(event) });
      default:
        return undefined;
    }
  }

  #document(body: object): string {
    const narration = this.#options.narration ? { narration: this.#narrations } : undefined;
    return JSON.stringify({ ...body, ...narration });
  }
}
