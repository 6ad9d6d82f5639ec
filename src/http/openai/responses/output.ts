/**
 * The items of one answer: reasoning, texts and calls. An item is open until another one begins, or until the
 * output ends. Reports each change as an event of the dialect.
 */
import type { OutputItem } from '../../../contract/openai/responses/answer.ts';
import type { ResponsesEventFields, ResponsesEventType } from '../../../contract/openai/responses/events.ts';
import type { TokenEvent } from '../../../jobs/job-events.ts';
import type { TokenForms } from '../../../text/tokenizer/token-form.ts';
import { type Logprob, logprobsIn } from './logprobs.ts';

/** Receives the events of the items in order. */
export type Report = <T extends ResponsesEventType>(type: T, fields: ResponsesEventFields<T>) => void;

type Kind = OutputItem['type'];

/** An item that can still grow. */
type Open =
  | { readonly type: 'message'; readonly at: Place; text: string; readonly logprobs: Logprob[] }
  | { readonly type: 'reasoning'; readonly at: Place; text: string }
  | {
      readonly type: 'function_call';
      readonly at: Place;
      text: string;
      readonly callId: string;
      readonly name: string;
    };

interface Place {
  readonly output_index: number;
  readonly item_id: string;
}

const PREFIXES: Readonly<Record<Kind, string>> = { message: 'msg', reasoning: 'rs', function_call: 'fc' };

export class ResponseOutput {
  readonly #suffix: string;
  readonly #tokens: TokenForms;
  readonly #report: Report;
  readonly #done: OutputItem[] = [];
  #open: Open | undefined;

  /** @param id id of the response, from which the ids of the items are made */
  constructor(id: string, tokens: TokenForms, report: Report) {
    this.#suffix = id.replace(/^resp_/, '');
    this.#tokens = tokens;
    this.#report = report;
  }

  /** All items; an open one is `status`. */
  items(status: OutputItem['status'] = 'in_progress'): readonly OutputItem[] {
    return this.#open ? [...this.#done, itemOf(this.#open, status)] : this.#done;
  }

  /** Adds a piece of the output. */
  add(event: TokenEvent): void {
    const part = event.part ?? { kind: 'content', text: event.t };
    if (part.kind === 'content') this.#addText(part.text, logprobsIn(event, this.#tokens));
    else if (part.kind === 'reasoning') this.#addReasoning(part.text);
    else if (part.kind === 'call') this.#addCall(part.id, part.name);
    else this.#addArguments(part.text);
  }

  /** Ends the output. An output without any item becomes an empty text: clients read the first item. */
  close(status: 'completed' | 'incomplete'): void {
    if (!this.#open && this.#done.length === 0) this.#begin('message');
    this.#end(status);
  }

  /**
   * Reports an event that changes nothing: a piece without text of the open item. Returns false if no item is
   * open.
   */
  touch(report: Report = this.#report): boolean {
    const open = this.#open;
    if (!open) return false;
    if (open.type === 'message')
      report('response.output_text.delta', { ...open.at, content_index: 0, delta: '', logprobs: [] });
    else if (open.type === 'reasoning')
      report('response.reasoning_text.delta', { ...open.at, content_index: 0, delta: '' });
    else report('response.function_call_arguments.delta', { ...open.at, delta: '' });
    return true;
  }

  #addText(text: string, logprobs: readonly Logprob[]): void {
    const open = this.#opened('message');
    open.text += text;
    open.logprobs.push(...logprobs);
    this.#report('response.output_text.delta', { ...open.at, content_index: 0, delta: text, logprobs: [...logprobs] });
  }

  #addReasoning(text: string): void {
    const open = this.#opened('reasoning');
    open.text += text;
    this.#report('response.reasoning_text.delta', { ...open.at, content_index: 0, delta: text });
  }

  #addCall(callId: string, name: string): void {
    this.#end('completed');
    this.#start({ type: 'function_call', at: this.#place('function_call'), text: '', callId, name });
  }

  /** The pieces of a call follow its beginning. Anything else is text, so that nothing is lost. */
  #addArguments(text: string): void {
    const open = this.#open;
    if (open?.type !== 'function_call') this.#addText(text, []);
    else {
      open.text += text;
      this.#report('response.function_call_arguments.delta', { ...open.at, delta: text });
    }
  }

  /** The open item, which begins now unless it is of this type. */
  #opened<K extends 'message' | 'reasoning'>(type: K): Extract<Open, { readonly type: K }> {
    if (this.#open?.type !== type) {
      this.#end('completed');
      this.#begin(type);
    }
    return this.#open as Extract<Open, { readonly type: K }>;
  }

  #begin(type: 'message' | 'reasoning'): void {
    const at = this.#place(type);
    this.#start(type === 'message' ? { type, at, text: '', logprobs: [] } : { type, at, text: '' });
    const part = partOf(this.#open);
    if (part) this.#report('response.content_part.added', { ...at, content_index: 0, part });
  }

  #start(open: Open): void {
    this.#open = open;
    const item = itemOf(open, 'in_progress');
    const begun = item.type === 'function_call' ? item : { ...item, content: [] };
    this.#report('response.output_item.added', { output_index: open.at.output_index, item: begun });
  }

  #end(status: 'completed' | 'incomplete'): void {
    const open = this.#open;
    if (!open) return;
    this.#reportDone(open);
    const item = itemOf(open, status);
    this.#report('response.output_item.done', { output_index: open.at.output_index, item });
    this.#done.push(item);
    this.#open = undefined;
  }

  #reportDone(open: Open): void {
    const { at, text } = open;
    if (open.type === 'function_call') {
      this.#report('response.function_call_arguments.done', { ...at, name: open.name, arguments: text });
      return;
    }
    if (open.type === 'message')
      this.#report('response.output_text.done', { ...at, content_index: 0, text, logprobs: open.logprobs });
    else this.#report('response.reasoning_text.done', { ...at, content_index: 0, text });
    const part = partOf(open);
    if (part) this.#report('response.content_part.done', { ...at, content_index: 0, part });
  }

  #place(type: Kind): Place {
    const index = this.#done.length;
    return { output_index: index, item_id: `${PREFIXES[type]}_${this.#suffix}_${index}` };
  }
}

function partOf(open: Open | undefined) {
  if (open?.type === 'message')
    return { type: 'output_text' as const, text: open.text, annotations: [], logprobs: open.logprobs };
  return open?.type === 'reasoning' ? { type: 'reasoning_text' as const, text: open.text } : undefined;
}

function itemOf(open: Open, status: OutputItem['status']): OutputItem {
  const { at, text } = open;
  const id = at.item_id;
  switch (open.type) {
    case 'message':
      return {
        id,
        type: 'message',
        role: 'assistant',
        status,
        content: [{ type: 'output_text', text, annotations: [], logprobs: [...open.logprobs] }],
      };
    case 'reasoning':
      return { id, type: 'reasoning', status, summary: [], content: [{ type: 'reasoning_text', text }] };
    default:
      return { id, type: 'function_call', status, call_id: open.callId, name: open.name, arguments: text };
  }
}
