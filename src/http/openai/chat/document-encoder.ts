/** The answer of a chat without a stream: one `chat.completion`, written when the job has ended. */
import type { EventBody } from '../../../contract/events.ts';
import type { ChoiceEndEvent, JobEvent, TokenEvent } from '../../../jobs/job-events.ts';
import type { OutputPart } from '../../../text/output/parts.ts';
import { JSON_TYPE } from '../../dialect/answer.ts';
import type { DialectEncoder } from '../../dialect/dialect-encoder.ts';
import { DocumentEnd } from '../shared/document.ts';
import { UsageCounter } from '../shared/usage.ts';
import type { ChatAnswer } from './chunk-encoder.ts';
import { chatFinish } from './finish.ts';
import { chatScores, endScores } from './scores.ts';

interface Call {
  readonly id: string;
  readonly name: string;
  arguments: string;
}

/** One choice as it grows. */
class ChatChoice {
  content = '';
  reasoning = '';
  readonly calls: Call[] = [];
  /** Entries of `logprobs.content`, each as JSON. */
  readonly scores: string[] = [];
  finish = 'stop';

  add(part: OutputPart): void {
    if (part.kind === 'content') this.content += part.text;
    else if (part.kind === 'reasoning') this.reasoning += part.text;
    else if (part.kind === 'call') this.calls.push({ id: part.id, name: part.name, arguments: '' });
    else {
      const call = this.calls[part.index];
      if (call) call.arguments += part.text;
    }
  }

  /** The choice as JSON. */
  json(index: number, scored: boolean): string {
    const { content, reasoning, calls, finish } = this;
    const message = {
      role: 'assistant',
      content: content === '' && calls.length > 0 ? null : content,
      refusal: null,
      ...(reasoning !== '' && { reasoning_content: reasoning, reasoning }),
      ...(calls.length > 0 && {
        tool_calls: calls.map(({ id, ...called }) => ({ id, type: 'function', function: called })),
      }),
    };
    const logprobs = scored ? `{"content":[${this.scores.join(',')}],"refusal":null}` : 'null';
    return `{"index":${index},"message":${JSON.stringify(message)},"logprobs":${logprobs},"finish_reason":"${finish}"}`;
  }
}

export interface ChatDocument extends ChatAnswer {
  /** Outputs of the answer. */
  readonly choices: number;
  /** True if the client asks for log-probabilities. */
  readonly scored: boolean;
}

export class ChatDocumentEncoder implements DialectEncoder {
  readonly contentType = JSON_TYPE;
  readonly #answer: ChatDocument;
  readonly #choices: readonly ChatChoice[];
  readonly #usage = new UsageCounter();
  readonly #end: DocumentEnd;

  constructor(answer: ChatDocument) {
    this.#answer = answer;
    this.#choices = Array.from({ length: answer.choices }, () => new ChatChoice());
    this.#end = new DocumentEnd(answer.narrates);
  }

  get status(): number {
    return this.#end.status;
  }

  encode(event: JobEvent): string | undefined {
    this.#usage.count(event);
    if (event.type === 'token') this.#token(event);
    else if (event.type === 'choice_end') this.#finish(event);
    else if (event.type === 'narration') this.#narration(event);
    else if (event.type === 'error') return this.#end.error(event);
    else if (event.type === 'end') return this.#document();
    return undefined;
  }

  #token(event: TokenEvent): void {
    const { choice = 0, part = { kind: 'content', text: event.t } } = event;
    const grown = this.#choices[choice];
    grown?.add(part);
    grown?.scores.push(...(chatScores(event, this.#answer.tokens) ?? []));
  }

  #finish(event: ChoiceEndEvent): void {
    const choice = this.#choices[event.choice];
    if (!choice) return;
    choice.finish = chatFinish(event);
    choice.scores.push(...endScores(event, this.#answer.tokens));
  }

  #narration(event: EventBody<'narration'>): void {
    this.#end.narration(event);
  }

  #document(): string {
    const { head, scored } = this.#answer;
    const choices = this.#choices.map((choice, index) => choice.json(index, scored));
    return this.#end.document(head, 'chat.completion', choices, this.#usage.total);
  }
}
