/**
 * Messages become the prompt a chat model was trained on, by the model's own template. Reads two files of the model's folder once.
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

/** Paths of the files a template comes from. */
export interface TemplateFiles {
  /** Absent: the template names no special token. */
  readonly tokenizerConfigFile?: string;
  /** `chat_template.jinja`, or a JSON file with a field of that name: wins over tokenizer_config.json, as in transformers. */
  readonly chatTemplateFile?: string;
}

/** The special tokens a template may name, as they stand in tokenizer_config.json: strings, or objects with `content`. */
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

/** A message of a template longer than this is cut. */
const MAX_REASON = 200;
/** A reason that holds a content at least this long quotes the prompt, and is not told. */
const SHORTEST_QUOTE = 16;

/** The template inside a parsed tokenizer_config.json or chat_template.json: a string, or the one named `default` of a list. Undefined: it has none. */
export function templateOf(tokenizerConfig: Readonly<Record<string, unknown>>): string | undefined {
  const { data } = templates.safeParse(tokenizerConfig['chat_template']);
  return typeof data === 'string' ? data : data?.find(({ name }) => name === 'default')?.template;
}

/** Special tokens that a template names: it needs their text. */
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
   * Undefined: the model has no template.
   * @throws Error naming the file: it cannot be read, or the template is not one.
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

/** The template's own words (`raise_exception`), unless they quote the prompt: that is never echoed. No stack, one line. */
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
