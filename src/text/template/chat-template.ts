/**
 * Renders messages with the model's own chat template into the prompt format that the model was trained on.
 * Reads the template and the special tokens from files in the model's folder, once.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { WorkerError } from '../../contract/errors.ts';
import { JinjaTemplate } from './jinja.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** Paths of the files that hold the template. */
export interface TemplateFiles {
  /** If absent, the template can use no special tokens. */
  readonly tokenizerConfigFile?: string;
  /**
   * `chat_template.jinja`, or a JSON file with the field `chat_template`. Takes precedence over
   * tokenizer_config.json, as in transformers.
   */
  readonly chatTemplateFile?: string;
}

/**
 * Special tokens that a template may name. In tokenizer_config.json each is a string, or an object with
 * `content`.
 */
const TOKEN_NAMES = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
] as const;
const tokenText = z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)]);
const templates = z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]);

/** Longer messages of a template are cut to this many characters. */
const MAX_REASON = 200;
/**
 * A reason that contains the first 16 characters of a message's content quotes the prompt and is not
 * reported.
 */
const SHORTEST_QUOTE = 16;

/**
 * Template in a parsed tokenizer_config.json or chat_template.json: a string, or the entry named `default` of
 * a list. Undefined if there is none.
 */
export function templateOf(tokenizerConfig: Readonly<Record<string, unknown>>): string | undefined {
  const { data } = templates.safeParse(tokenizerConfig['chat_template']);
  return typeof data === 'string' ? data : data?.find(({ name }) => name === 'default')?.template;
}

/** Special tokens that a template names. Rendering needs their text. */
export function namedTokens(template: string): string[] {
  return TOKEN_NAMES.filter((name) => template.includes(name));
}

export class ChatTemplate {
  readonly #template: JinjaTemplate;
  readonly #tokens: Readonly<Record<string, string>>;

  private constructor(source: string, tokens: Record<string, string>) {
    this.#template = new JinjaTemplate(source);
    this.#tokens = tokens;
  }

  /**
   * Returns undefined if the model has no template.
   * @throws Error that names the file: the file cannot be read, or its template cannot be parsed.
   */
  static async open(files: TemplateFiles): Promise<ChatTemplate | undefined> {
    const config = files.tokenizerConfigFile === undefined ? {} : await readFields(files.tokenizerConfigFile);
    const source = await sourceOf(files, config);
    if (source === undefined) return undefined;
    const tokens = TOKEN_NAMES.flatMap((name) => {
      const text = tokenText.safeParse(config[name]);
      return text.success ? [[name, text.data] as const] : [];
    });
    try {
      return new ChatTemplate(source, Object.fromEntries(tokens));
    } catch (cause) {
      const file = basename(files.chatTemplateFile ?? 'tokenizer_config.json');
      throw new Error(`The chat template in ${file} cannot be parsed: ${reasonOf(cause)}`, { cause });
    }
  }

  /**
   * Returns the prompt, up to the start of the assistant's answer. The prompt contains the model's special
   * tokens: encode it with `addSpecialTokens: false`.
   * @throws WorkerError INVALID_REQUEST with a violation on `messages` if the template refuses them, for
   *   example because roles do not alternate.
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

async function sourceOf(
  { chatTemplateFile: templateFile }: TemplateFiles,
  config: Readonly<Record<string, unknown>>,
): Promise<string | undefined> {
  if (templateFile === undefined) return templateOf(config);
  return templateFile.endsWith('.json') ? templateOf(await readFields(templateFile)) : readFile(templateFile, 'utf8');
}

async function readFields(file: string): Promise<Record<string, unknown>> {
  return z.looseObject({}).parse(JSON.parse(await readFile(file, 'utf8')));
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
  const message = `The model's chat template refuses these messages${quotes || reason === '' ? '.' : `: ${reason}`}`;
  return new WorkerError('INVALID_REQUEST', undefined, {
    violations: [{ field: 'messages', constraint: 'chat_template', message }],
  });
}

function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : '';
  const line = message.replaceAll(/\s+/g, ' ').trim();
  return Array.from(line).slice(0, MAX_REASON).join('');
}
