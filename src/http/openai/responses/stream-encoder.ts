/**
 * The stream of `POST /v1/responses`: the events of OpenAI's Responses API, each with its name and a number.
 *
 * - The stream ends after `response.completed`, `response.incomplete`, or `response.failed` and `error`.
 *   There is no `[DONE]`: OpenAI sends none here, and the clients end at these events.
 * - A failure needs both events. The SDK of OpenAI, and LangChain with it, raise only for an event that has
 *   the field `error`; clients that end at `response.failed` need this event first. The fields of `error` are
 *   those of OpenAI (flat) and of Open Responses (nested), because clients read the one or the other.
 * - A narration needs an event that belongs there. While an item is open, an empty delta of the item carries
 *   it. Otherwise `response.in_progress` does, with the response so far: clients replace their copy with it.
 *   The event `keepalive` of OpenAI's servers is not used: some versions of the SDK throw at it.
 */
import type { Config } from '../../../config/config.ts';
import type { ResponsesEventFields, ResponsesEventType } from '../../../contract/openai/responses/events.ts';
import type { JobEvent } from '../../../jobs/job-events.ts';
import { type DialectEncoder, eventFrame, type JobError, keepAliveOf } from '../../dialect/dialect-encoder.ts';
import { openAIJobError } from '../errors.ts';
import type { Report } from './output.ts';
import { type ResponseFacts, ResponseState } from './response.ts';

/** How a response is sent. */
export interface SendOptions {
  readonly correlationId: string;
  /** True: the answer has the narration. */
  readonly narration: boolean;
  readonly keepAlive: Config['sseKeepalive'];
}

type Narration = Extract<JobEvent, { readonly type: 'narration' }>;

export class ResponsesStreamEncoder implements DialectEncoder {
  readonly status = 200;
  readonly keepAlive: DialectEncoder['keepAlive'];
  readonly #state: ResponseState;
  readonly #options: SendOptions;
  /** Number of the next event. */
  #next = 0;
  /** Frames of the current event of the job. */
  #frames: string[] = [];

  constructor(facts: ResponseFacts, options: SendOptions) {
    this.#options = options;
    this.#state = new ResponseState(facts, (type, fields) => this.#send(type, fields));
    const { keepAlive: mode } = options;
    this.keepAlive = mode === 'chunk' ? () => this.#keepAliveFrame() : keepAliveOf(mode, undefined).keepAlive;
  }

  /** Has the number of the last event: a client that drops repeated numbers loses nothing. */
  #keepAliveFrame(): string {
    let frame = '';
    this.#touch((type, fields) => {
      frame = eventFrame(type, { type, sequence_number: Math.max(0, this.#next - 1), ...fields });
    });
    return frame;
  }

  encode(event: JobEvent): string | undefined {
    this.#frames = [];
    this.#take(event);
    return this.#frames.length === 0 ? undefined : this.#frames.join('');
  }

  #take(event: JobEvent): void {
    switch (event.type) {
      case 'started': {
        const response = this.#state.begin(event.started_at);
        this.#send('response.created', { response });
        this.#send('response.in_progress', { response });
        break;
      }
      case 'token':
        this.#state.add(event);
        break;
      case 'choice_end':
        this.#state.close(event);
        break;
      case 'narration':
        if (this.#options.narration) this.#narrate(event);
        break;
      case 'end': {
        const response = this.#state.complete(event);
        this.#send(response.status === 'completed' ? 'response.completed' : 'response.incomplete', { response });
        break;
      }
      case 'error':
        this.#fail(event);
    }
  }

  #fail(event: JobError): void {
    const { message, code, type } = openAIJobError(event);
    this.#send('response.failed', { response: this.#state.fail(event) });
    this.#send('error', { code, message, param: null, error: { type, code, message, param: null } });
  }

  #narrate(narration: Narration): void {
    const correlated = { ...narration, correlation_id: this.#options.correlationId };
    this.#touch((type, fields) => this.#send(type, { ...fields, narration: correlated }));
  }

  /** Reports an event that changes nothing. */
  #touch(report: Report): void {
    if (!this.#state.touch(report)) report('response.in_progress', { response: this.#state.current() });
  }

  #send<T extends ResponsesEventType>(type: T, fields: ResponsesEventFields<T>): void {
    this.#frames.push(eventFrame(type, { type, sequence_number: this.#next, ...fields }));
    this.#next += 1;
  }
}
