/**
 * The chunks of a stream of OpenAI's dialect. The text around the choices is the same in every chunk of a
 * stream, and is made once.
 */
import type { EventBody } from '../../../contract/events.ts';
import { dataFrame, type JobError } from '../../dialect/dialect-encoder.ts';
import { oneLine } from '../../sse.ts';
import { openAIJobError } from '../errors.ts';
import type { AnswerHead, SharedBody } from './order.ts';
import type { UsageCounter } from './usage.ts';

/** The last event of every stream. */
const DONE = 'data: [DONE]\n\n';

/** The error of a job as the end of a stream. */
export const errorEnd = (error: JobError): string => dataFrame({ error: openAIJobError(error) }) + DONE;

/** The text of a value as JSON, in one line for every client. */
export const jsonLine = (value: unknown): string => oneLine(JSON.stringify(value));

export class Chunks {
  readonly #prefix: string;
  readonly #options: NonNullable<SharedBody['stream_options']>;
  readonly #usage: UsageCounter;

  /** @param object kind of the chunks, such as `chat.completion.chunk` */
  constructor(head: AnswerHead, object: string, options: SharedBody['stream_options'], usage: UsageCounter) {
    const { id, ...others } = head;
    this.#prefix = `data: ${jsonLine({ id, object, ...others }).slice(0, -1)},"choices":[`;
    this.#options = options ?? {};
    this.#usage = usage;
  }

  /** A chunk with one choice. @param choice JSON of the choice in one line */
  of(choice: string): string {
    return `${this.#prefix}${choice}]${this.#usageNow}}\n\n`;
  }

  /**
   * A chunk that carries a narration, the event of the native stream.
   * @param choice JSON of a choice without text
   */
  narration(choice: string, narration: EventBody<'narration'>): string {
    return `${this.#prefix}${choice}]${this.#usageNow},"narration":${jsonLine(narration)}}\n\n`;
  }

  /** The field `usage` of a chunk with a choice, if the client wants it in each. */
  get #usageNow(): string {
    return this.#options.continuous_usage_stats ? `,"usage":${this.#usage.soFar}` : '';
  }

  /** The end of a stream: the usage if the client asks for it. */
  get end(): string {
    const usage = this.#options.include_usage ? `${this.#prefix}],"usage":${jsonLine(this.#usage.total)}}\n\n` : '';
    return usage + DONE;
  }
}
