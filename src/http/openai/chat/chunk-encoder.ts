/** The stream of a chat: every piece of the output becomes one `chat.completion.chunk`. */

import type { Config } from '../../../config/config.ts';
import type { ChoiceEndEvent, JobEvent, TokenEvent } from '../../../jobs/job-events.ts';
import type { OutputPart } from '../../../text/output/parts.ts';
import type { TokenForms } from '../../../text/tokenizer/token-form.ts';
import { type DialectEncoder, keepAliveOf } from '../../dialect/dialect-encoder.ts';
import { Chunks, errorEnd, jsonLine } from '../shared/chunks.ts';
import type { AnswerHead, SharedBody } from '../shared/order.ts';
import { UsageCounter } from '../shared/usage.ts';
import { chatFinish } from './finish.ts';
import { chatScores, endScores } from './scores.ts';

const ROLE = '"role":"assistant",';

export interface ChatAnswer {
  readonly head: AnswerHead;
  /** True if the answer carries the narration. */
  readonly narrates: boolean;
  /** Texts of tokens, for log-probabilities. */
  readonly tokens: TokenForms;
}

export interface ChatStream extends ChatAnswer {
  readonly options: SharedBody['stream_options'];
  readonly keepAlive: Config['sseKeepalive'];
}

export class ChatChunkEncoder implements DialectEncoder {
  readonly status = 200;
  readonly keepAlive: DialectEncoder['keepAlive'];
  readonly #tokens: TokenForms;
  readonly #narrates: boolean;
  readonly #usage = new UsageCounter();
  readonly #chunks: Chunks;
  /** Choices that have had a chunk: the first one names the role. */
  readonly #begun = new Set<number>();

  constructor({ head, narrates, tokens, options, keepAlive }: ChatStream) {
    this.#tokens = tokens;
    this.#narrates = narrates;
    this.#chunks = new Chunks(head, 'chat.completion.chunk', options, this.#usage);
    this.keepAlive =
      keepAlive === 'chunk' ? () => this.#chunks.of(this.#quiet()) : keepAliveOf(keepAlive, undefined).keepAlive;
  }

  encode(event: JobEvent): string | undefined {
    this.#usage.count(event);
    switch (event.type) {
      case 'token':
        return this.#token(event);
      case 'choice_end':
        return this.#end(event);
      case 'narration':
        return this.#narrates ? this.#chunks.narration(this.#quiet(), event) : undefined;
      case 'end':
        return this.#chunks.end;
      case 'error':
        return errorEnd(event);
      default:
        return undefined;
    }
  }

  #token(event: TokenEvent): string {
    const { choice = 0, part = { kind: 'content', text: event.t } } = event;
    const logprobs = logprobsOf(chatScores(event, this.#tokens));
    const delta = this.#delta(choice, part);
    return this.#chunks.of(`{"index":${choice},"delta":${delta},"logprobs":${logprobs},"finish_reason":null}`);
  }

  #delta(choice: number, part: OutputPart): string {
    if (this.#begun.has(choice)) return `{${deltaFields(part)}}`;
    this.#begun.add(choice);
    const isCall = part.kind === 'call' || part.kind === 'arguments';
    return `{${ROLE}${isCall ? '"content":null,' : ''}${deltaFields(part)}}`;
  }

  /**
   * A choice that adds no text. The first chunk of a choice has the role, whichever chunk comes first:
   * clients take the kind of the message from it.
   */
  #quiet(): string {
    return `{"index":0,"delta":{${this.#beginning(0)}},"logprobs":null,"finish_reason":null}`;
  }

  #end(event: ChoiceEndEvent): string {
    const { choice } = event;
    const delta = this.#beginning(choice);
    const logprobs = logprobsOf(endScores(event, this.#tokens));
    const finish = chatFinish(event);
    return this.#chunks.of(`{"index":${choice},"delta":{${delta}},"logprobs":${logprobs},"finish_reason":"${finish}"}`);
  }

  /** The fields of a delta without text: none after the first chunk of the choice. */
  #beginning(choice: number): string {
    if (this.#begun.has(choice)) return '';
    this.#begun.add(choice);
    return `${ROLE}"content":""`;
  }
}

/** The field `logprobs` of a chunk. @param scores entries as JSON; undefined or empty for none */
const logprobsOf = (scores: readonly string[] | undefined): string =>
  scores === undefined || scores.length === 0 ? 'null' : `{"content":[${scores.join(',')}],"refusal":null}`;

/** The fields of a delta for a part of the output. */
function deltaFields(part: OutputPart): string {
  switch (part.kind) {
    case 'content':
      return `"content":${jsonLine(part.text)}`;
    case 'reasoning': {
      const text = jsonLine(part.text);
      return `"reasoning_content":${text},"reasoning":${text}`;
    }
    case 'call': {
      const { index, id, name } = part;
      return `"tool_calls":[${jsonLine({ index, id, type: 'function', function: { name, arguments: '' } })}]`;
    }
    case 'arguments':
      return `"tool_calls":[{"index":${part.index},"function":{"arguments":${jsonLine(part.text)}}}]`;
    default:
      return part satisfies never;
  }
}
