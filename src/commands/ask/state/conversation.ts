/** A conversation, and the file of the last one, which `--continue` reads. */
import type { ChatMessage } from '../../../client/client.ts';
import { StateFile } from './state-file.ts';

const FILE = 'conversation.json';
/** Maximum number of questions and answers that are kept and sent: a request may have 256 messages. */
export const MAX_MESSAGES = 200;

/** The text of a message; tools and reasoning of an answer are not kept. */
interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export class Conversation {
  #system: string | undefined;
  #messages: Message[];

  constructor(messages: readonly Message[] = []) {
    this.#system = messages.find(({ role }) => role === 'system')?.content;
    this.#messages = messages.filter(({ role }) => role !== 'system');
  }

  /** The last saved conversation; undefined if there is none. */
  static last(): Conversation | undefined {
    try {
      const saved: unknown = JSON.parse(new StateFile(FILE).read() ?? 'null');
      const messages = (saved as { messages?: unknown } | null)?.messages;
      return Array.isArray(messages) && messages.every(isMessage) ? new Conversation(messages) : undefined;
    } catch {
      return undefined; // A damaged file.
    }
  }

  /** The message that instructs the model; undefined: none. */
  get system(): string | undefined {
    return this.#system;
  }

  set system(text: string | undefined) {
    this.#system = text;
  }

  /** Questions and answers so far. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** The messages of a request with one more question. */
  withQuestion(content: string): readonly ChatMessage[] {
    const system: Message[] = this.#system === undefined ? [] : [{ role: 'system', content: this.#system }];
    return [...system, ...this.#messages.slice(-MAX_MESSAGES), { role: 'user', content }];
  }

  /** Adds a question and its answer. */
  add(question: string, answer: string): void {
    this.#messages.push({ role: 'user', content: question }, { role: 'assistant', content: answer });
  }

  /** Removes all questions and answers. */
  clear(): void {
    this.#messages = [];
  }

  /**
   * Keeps the conversation for `last`.
   * @returns the reason if that is not possible
   */
  save(): string | undefined {
    const system: Message[] = this.#system === undefined ? [] : [{ role: 'system', content: this.#system }];
    const messages = [...system, ...this.#messages.slice(-MAX_MESSAGES)];
    return new StateFile(FILE).write(`${JSON.stringify({ messages }, null, 2)}\n`);
  }

  /** The conversation as Markdown. */
  toMarkdown(): string {
    const system = this.#system === undefined ? [] : [`## System\n\n${this.#system}`];
    const names = { user: '## Question', assistant: '## Answer', system: '## System' } as const;
    return `${[...system, ...this.#messages.map(({ role, content }) => `${names[role]}\n\n${content}`)].join('\n\n')}\n`;
  }
}

function isMessage(value: unknown): value is Message {
  const { role, content } = (value ?? {}) as Partial<Message>;
  return typeof content === 'string' && (role === 'system' || role === 'user' || role === 'assistant');
}
