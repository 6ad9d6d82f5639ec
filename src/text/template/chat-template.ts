/**
 * Renders messages with the model's own chat template into the prompt format that the model was trained on.
 * Pure.
 */
import { WorkerError } from '../../contract/errors.ts';
import { harmless } from '../../narration/sanitize.ts';
import { type ChatMessage, type Conversation, templateVariables } from './conversation.ts';
import { JinjaTemplate } from './jinja/jinja.ts';
import { RenderBudgetError, type RenderLimits } from './render-limits.ts';

/** The model's template and the special tokens that it can name. */
export interface TemplateSource {
  /** Name of the template: `default`, or the name by which a request chooses it. */
  readonly name: string;
  /** Name of the file that holds the template, for errors. */
  readonly file: string;
  /** The template, in Jinja. */
  readonly text: string;
  /** Name of a special token, such as `bos_token` → its text. */
  readonly tokens: Readonly<Record<string, string>>;
  /**
   * True for a template of a multimodal model that reads the content of a message as a list of parts,
   * `[{type: 'text', text}]`, and not as a text.
   */
  readonly readsParts?: boolean;
}

/** Longer error messages of a template are truncated to this many characters. */
const MAX_REASON = 200;
/**
 * A reason that contains the first 16 characters of a message's content quotes the prompt and is not
 * reported.
 */
const SHORTEST_QUOTE = 16;
/** The beginning of the sentence for messages that the template refuses. */
const REFUSAL = "The model's chat template refuses these messages";

export class ChatTemplate {
  /** With it, a thread can open the same template. */
  readonly source: TemplateSource;
  readonly #template: JinjaTemplate;

  /** @throws Error that names the file if the text is not a valid template. */
  constructor(source: TemplateSource) {
    const { file, text } = source;
    this.source = source;
    try {
      this.#template = new JinjaTemplate(text);
    } catch (cause) {
      throw new Error(`The chat template in ${file} cannot be parsed: ${syntaxError(cause)}`, { cause });
    }
  }

  /**
   * Returns the prompt, up to the start of the assistant's answer. The prompt contains the model's special
   * tokens: encode it with `addSpecialTokens: false`.
   * @param input messages, or a conversation with tools and variables of the template
   * @param limits smaller limits than the largest ones, for a caller that can render again with more
   * @throws RenderBudgetError if `limits` is given and reached; WorkerError INVALID_REQUEST with a violation
   *   on `messages` if the largest limits are reached or the template refuses the messages, for example
   *   because roles do not alternate.
   */
  render(input: readonly ChatMessage[] | Conversation, limits?: RenderLimits): string {
    const conversation = 'messages' in input ? input : { messages: input };
    const { tokens, readsParts = false } = this.source;
    const variables = { ...tokens, ...templateVariables(conversation, readsParts) };
    try {
      return this.#template.render(variables, limits) + (conversation.answerStart ?? '');
    } catch (cause) {
      if (limits && cause instanceof RenderBudgetError) throw cause;
      throw refusal(cause, conversation.messages);
    }
  }
}

/**
 * Reports the template's own message (`raise_exception`) in one line, without a stack. A message that quotes
 * the prompt is left out, because prompts are never echoed.
 */
function refusal(cause: unknown, messages: readonly ChatMessage[]): WorkerError {
  const reason = reasonOf(cause);
  const quotes = messages.some(
    ({ content }) => content.length >= SHORTEST_QUOTE && reason.includes(content.slice(0, SHORTEST_QUOTE)),
  );
  const message = `${REFUSAL}${quotes || reason === '' ? '.' : `: ${reason}`}`;
  return new WorkerError('INVALID_REQUEST', undefined, {
    violations: [{ field: 'messages', constraint: 'chat_template', message }],
  });
}

/** The template's own message in an error of `render`, or `''`; undefined for any other error. */
export function ownMessage(error: unknown): string | undefined {
  const message = error instanceof WorkerError ? error.violations?.[0]?.message : undefined;
  if (message?.startsWith(REFUSAL) !== true) return undefined;
  return message.slice(REFUSAL.length).replace(/^[:.] ?/, '');
}

/** The reason of the parser. The narration takes the word after `token:` for a secret. */
const syntaxError = (cause: unknown): string => reasonOf(cause).replace(/^Unexpected token(?: type)?: /, 'unexpected ');

function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : '';
  // Cut first: a template can make a message of a million characters.
  const line = harmless(message.slice(0, 8 * MAX_REASON))
    .replaceAll(/\s+/g, ' ')
    .trim();
  return Array.from(line).slice(0, MAX_REASON).join('');
}
