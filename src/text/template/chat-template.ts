/** Messages become the prompt that a chat model was trained on, by the model's own template. Pure. */
import { WorkerError } from '../../contract/errors.ts';
import { JinjaTemplate } from './jinja.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** The model's template and the special tokens that it can name. */
interface TemplateSource {
  /** Name of the file that holds the template, for errors. */
  readonly file: string;
  /** The template, in Jinja. */
  readonly text: string;
  /** Name of a special token, such as `bos_token` → its text. */
  readonly tokens: Readonly<Record<string, string>>;
}

/** A message of a template longer than this is cut. */
const LONGEST_REASON = 200;
/** A reason that holds a content at least this long quotes the prompt, and is not told. */
const QUOTE = 16;

export class ChatTemplate {
  readonly #template: JinjaTemplate;
  readonly #tokens: Readonly<Record<string, string>>;

  /** @throws Error that names the file if the text is not a template. */
  constructor({ file, text, tokens }: TemplateSource) {
    this.#tokens = tokens;
    try {
      this.#template = new JinjaTemplate(text);
    } catch (cause) {
      throw new Error(`The chat template in ${file} cannot be read: ${reasonOf(cause)}`, { cause });
    }
  }

  /**
   * The prompt, ending where the assistant begins to speak. It holds the model's own special tokens: encode it without adding them again.
   * @throws WorkerError INVALID_REQUEST with a violation on `messages`: the template refuses them, as with roles that do not alternate.
   */
  render(messages: readonly ChatMessage[]): string {
    try {
      return this.#template.render({
        ...this.#tokens,
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: true,
        tools: null,
        documents: null,
      });
    } catch (cause) {
      throw refusal(cause, messages);
    }
  }
}

/** The template's own words (`raise_exception`), unless they quote the prompt: that is never echoed. No stack, one line. */
function refusal(cause: unknown, messages: readonly ChatMessage[]): WorkerError {
  const reason = reasonOf(cause);
  const quotes = messages.some(({ content }) => content.length >= QUOTE && reason.includes(content.slice(0, QUOTE)));
  const message = `The model's chat template refuses these messages${quotes || reason === '' ? '.' : `: ${reason}`}`;
  return new WorkerError('INVALID_REQUEST', undefined, {
    violations: [{ field: 'messages', constraint: 'chat_template', message }],
  });
}

function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : '';
  const line = message.replaceAll(/\s+/g, ' ').trim();
  return Array.from(line).slice(0, LONGEST_REASON).join('');
}
