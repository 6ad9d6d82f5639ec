/** The stream of Anthropic's Messages API: the events of one job as named server-sent events. */
import type { Config } from '../../config/config.ts';
import type { EventBody } from '../../contract/events.ts';
import type { ChoiceEndEvent, JobEvent, PromptEvent } from '../../jobs/job-events.ts';
import type { OutputPart } from '../../text/output/parts.ts';
import { type DialectEncoder, eventFrame, keepAliveOf } from '../dialect/dialect-encoder.ts';
import { type EncoderOptions, NO_SIGNATURE, narrationOf, stopOf, usageOf } from './answer-facts.ts';
import { anthropicJobError } from './errors.ts';

/** An event; its name is its type. */
type Event = { readonly type: string } & Readonly<Record<string, unknown>>;
const frame = (event: Event): string => eventFrame(event.type, event);

const PING = frame({ type: 'ping' });

type BlockKind = 'text' | 'thinking' | 'tool_use';

export class MessageStream implements DialectEncoder {
  readonly status = 200;
  readonly keepAlive?: string;
  readonly #options: EncoderOptions;
  /** Narrations from before `message_start`, which is always the first event; undefined afterwards. */
  #early: string[] | undefined = [];
  /** Index of the open block, or of the next one. */
  #index = 0;
  #open: BlockKind | undefined;
  #end: ChoiceEndEvent | undefined;

  constructor(options: EncoderOptions, mode: Config['sseKeepalive']) {
    this.#options = options;
    Object.assign(this, keepAliveOf(mode, PING));
  }

  encode(event: JobEvent): string | undefined {
    switch (event.type) {
      case 'prompt':
        return this.#start(event);
      case 'token':
        return this.#piece(event.part ?? { kind: 'content', text: event.t });
      case 'narration':
        return this.#narration(event);
      case 'choice_end':
        this.#end = event;
        return undefined;
      case 'end':
        return this.#finish(event);
      case 'error':
        return frame({ ...anthropicJobError(event, this.#options.requestId) });
      default:
        return undefined;
    }
  }

  #start({ ids }: PromptEvent): string {
    const { id, model } = this.#options;
    // The cached tokens are known at the end. `message_delta` then corrects both numbers.
    const usage = {
      input_tokens: ids.length,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: 0,
    };
    const facts = { id, type: 'message', role: 'assistant', model, content: [] };
    const message = { ...facts, stop_reason: null, stop_sequence: null, usage };
    const frames = [frame({ type: 'message_start', message }), ...(this.#early ?? [])];
    this.#early = undefined;
    return frames.join('');
  }

  #narration(event: EventBody<'narration'>): string | undefined {
    const { narration, requestId } = this.#options;
    if (!narration) return undefined;
    const ping = frame({ type: 'ping', narration: narrationOf(event, requestId) });
    if (!this.#early) return ping;
    this.#early.push(ping);
    return undefined;
  }

  #piece(part: OutputPart): string {
    switch (part.kind) {
      case 'content':
        return this.#opened('text', () => ({ type: 'text', text: '' })) + this.#delta('text_delta', 'text', part.text);
      case 'reasoning': {
        const opening = this.#opened('thinking', () => ({ type: 'thinking', thinking: '', signature: NO_SIGNATURE }));
        return opening + this.#delta('thinking_delta', 'thinking', part.text);
      }
      case 'call': {
        const { id, name } = part;
        return this.#close() + this.#openBlock('tool_use', { type: 'tool_use', id, name, input: {} });
      }
      case 'arguments':
        return this.#delta('input_json_delta', 'partial_json', part.text);
    }
  }

  #delta(type: string, field: string, text: string): string {
    return frame({ type: 'content_block_delta', index: this.#index, delta: { type, [field]: text } });
  }

  /** Opens a block of this kind, unless it is open. */
  #opened(kind: BlockKind, block: () => object): string {
    return this.#open === kind ? '' : this.#close() + this.#openBlock(kind, block());
  }

  #openBlock(kind: BlockKind, content_block: object): string {
    this.#open = kind;
    return frame({ type: 'content_block_start', index: this.#index, content_block });
  }

  /** Closes the open block. Clients expect a signature at the end of a reasoning. */
  #close(): string {
    if (this.#open === undefined) return '';
    const signature = this.#open === 'thinking' ? this.#delta('signature_delta', 'signature', NO_SIGNATURE) : '';
    const stop = frame({ type: 'content_block_stop', index: this.#index });
    this.#open = undefined;
    this.#index += 1;
    return signature + stop;
  }

  #finish(event: EventBody<'end'>): string {
    const delta = stopOf(this.#end ?? { reason: event.stop_reason, toolCalls: 0 });
    const last = frame({ type: 'message_delta', delta, usage: usageOf(event) });
    return this.#close() + last + frame({ type: 'message_stop' });
  }
}
