/** The stream of completions: every piece of an output becomes one `text_completion`. */
import type { Config } from '../../../config/config.ts';
import type { JobEvent } from '../../../jobs/job-events.ts';
import { type DialectEncoder, keepAliveOf } from '../../dialect/dialect-encoder.ts';
import { oneLine } from '../../sse.ts';
import { Chunks, errorEnd } from '../shared/chunks.ts';
import type { SharedBody } from '../shared/order.ts';
import { UsageCounter } from '../shared/usage.ts';
import { type CompletionAnswer, CompletionChoices } from './answer.ts';

/** A choice that changes nothing. */
const QUIET = '{"index":0,"text":"","logprobs":null,"finish_reason":null}';

export interface CompletionStream extends CompletionAnswer {
  readonly options: SharedBody['stream_options'];
  readonly keepAlive: Config['sseKeepalive'];
}

export class CompletionChunkEncoder implements DialectEncoder {
  readonly status = 200;
  readonly keepAlive: DialectEncoder['keepAlive'];
  readonly #narrates: boolean;
  readonly #usage = new UsageCounter();
  readonly #chunks: Chunks;
  readonly #choices: CompletionChoices;

  constructor({ options, keepAlive, ...answer }: CompletionStream) {
    this.#narrates = answer.narrates;
    this.#choices = new CompletionChoices(answer);
    this.#chunks = new Chunks(answer.head, 'text_completion', options, this.#usage);
    // A chunk is made when it is sent, so that its usage has the numbers of that moment.
    this.keepAlive = keepAlive === 'chunk' ? () => this.#chunks.of(QUIET) : keepAliveOf(keepAlive, undefined).keepAlive;
  }

  encode(event: JobEvent): string | undefined {
    this.#usage.count(event);
    this.#choices.count(event);
    switch (event.type) {
      case 'token': {
        const { choice = 0 } = event;
        this.#choices.of(choice).token(event);
        return this.#chunk(choice);
      }
      case 'choice_end':
        this.#choices.of(event.choice).end(event);
        return this.#chunk(event.choice);
      case 'narration':
        return this.#narrates ? this.#chunks.narration(QUIET, event) : undefined;
      case 'end':
        this.#choices.clear();
        return this.#chunks.end;
      case 'error':
        this.#choices.clear();
        return errorEnd(event);
      default:
        return undefined;
    }
  }

  #chunk(index: number): string {
    return this.#chunks.of(oneLine(this.#choices.of(index).take(index)));
  }
}
