/** The answer of Anthropic's Messages API without a stream: one message, or an error. */

import type { EventBody } from '../../contract/events.ts';
import type { ChoiceEndEvent, JobEvent } from '../../jobs/job-events.ts';
import type { OutputPart } from '../../text/output/parts.ts';
import { jsonObjectOf } from '../../text/tools/json-object.ts';
import { JSON_TYPE } from '../dialect/answer.ts';
import type { DialectEncoder } from '../dialect/dialect-encoder.ts';
import { failureStatus } from '../dialect/refusal.ts';
import { type EncoderOptions, NO_SIGNATURE, narrationOf, stopOf, usageOf } from './answer-facts.ts';
import { anthropicJobError } from './errors.ts';

/** A block while its pieces arrive. */
interface GrowingBlock {
  readonly kind: 'text' | 'thinking' | 'tool_use';
  readonly pieces: string[];
  readonly id?: string;
  readonly name?: string;
}

export class MessageDocument implements DialectEncoder {
  readonly contentType = JSON_TYPE;
  readonly #options: EncoderOptions;
  readonly #blocks: GrowingBlock[] = [];
  readonly #narrations: object[] = [];
  #end: ChoiceEndEvent | undefined;
  #status = 200;

  constructor(options: EncoderOptions) {
    this.#options = options;
  }

  get status(): number {
    return this.#status;
  }

  encode(event: JobEvent): string | undefined {
    switch (event.type) {
      case 'token':
        this.#add(event.part ?? { kind: 'content', text: event.t });
        return undefined;
      case 'narration':
        if (this.#options.narration) this.#narrations.push(narrationOf(event, this.#options.requestId));
        return undefined;
      case 'choice_end':
        this.#end = event;
        return undefined;
      case 'end':
        return this.#document(this.#message(event));
      case 'error':
        this.#status = failureStatus(event);
        return this.#document(anthropicJobError(event, this.#options.requestId));
      default:
        return undefined;
    }
  }

  #add(part: OutputPart): void {
    if (part.kind === 'call') {
      this.#blocks.push({ kind: 'tool_use', id: part.id, name: part.name, pieces: [] });
      return;
    }
    const kind = part.kind === 'content' ? 'text' : part.kind === 'reasoning' ? 'thinking' : 'tool_use';
    const last = this.#blocks.at(-1);
    if (last?.kind === kind) last.pieces.push(part.text);
    else this.#blocks.push({ kind, pieces: [part.text] });
  }

  #message(event: EventBody<'end'>): object {
    const { id, model } = this.#options;
    return {
      id,
      type: 'message',
      role: 'assistant',
      model,
      content: this.#blocks.map(blockOf),
      ...stopOf(this.#end ?? { reason: event.stop_reason, toolCalls: 0 }),
      usage: usageOf(event),
    };
  }

  #document(body: object): string {
    return JSON.stringify({ ...body, ...(this.#options.narration && { narration: this.#narrations }) });
  }
}

function blockOf({ kind, pieces, id, name }: GrowingBlock): object {
  const text = pieces.join('');
  if (kind === 'text') return { type: 'text', text };
  if (kind === 'thinking') return { type: 'thinking', thinking: text, signature: NO_SIGNATURE };
  return { type: 'tool_use', id, name, input: inputOf(text) };
}

/**
 * The arguments of a call. Text that is not a JSON object (the output ended within it, or the model wrote a
 * broken call) goes into one field, whose name is from Anthropic's guide to fine-grained streaming of tools.
 */
function inputOf(text: string): object {
  return text === '' ? {} : (jsonObjectOf(text) ?? { INVALID_JSON: text });
}
