/**
 * Reads a model's chat template and the texts of the special tokens that a template can name, from at most
 * two files of the model's folder.
 */
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { JsonError, parseJson, withoutMark } from '../protocol/json-text.ts';
import { openModelFile, readModelText } from './folder-files.ts';

/** Paths of the files that can hold a template. */
export interface TemplateFiles {
  /** If absent, the template names no special token. */
  readonly tokenizerConfigFile?: string;
  /**
   * `chat_template.jinja`, or a JSON file with the field `chat_template`. Takes precedence over
   * tokenizer_config.json, as in transformers.
   */
  readonly chatTemplateFile?: string;
}

/** A chat template from a file. */
export interface TemplateSource {
  /** Name of the file, without its folder. */
  readonly file: string;
  /** The template, in Jinja. */
  readonly text: string;
  /** Special tokens: name, such as `bos_token` → text. */
  readonly tokens: Readonly<Record<string, string>>;
}

/** Longest chat template in UTF-16 units. The templates of published models have up to 20 000. */
export const MAX_TEMPLATE = 2 ** 18;
/** A UTF-16 unit has at most three bytes in UTF-8. */
const MAX_TEMPLATE_BYTES = 3 * MAX_TEMPLATE;

/**
 * The special tokens that a template can name. In tokenizer_config.json they are strings, or objects with
 * `content`.
 */
export const TOKEN_NAMES = [
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

/** The special tokens that a template names; it cannot be rendered without their texts. */
export function namedTokens(template: string): string[] {
  return TOKEN_NAMES.filter((name) => template.includes(name));
}

/**
 * @returns undefined if the model has no template.
 * @throws Error for a file that cannot be read or is not JSON, and for a template that is too long.
 */
export async function readTemplate(files: TemplateFiles): Promise<TemplateSource | undefined> {
  const { tokenizerConfigFile, chatTemplateFile: templatePath } = files;
  const config = tokenizerConfigFile === undefined ? {} : await readObject(tokenizerConfigFile);
  const text = templatePath === undefined ? templateOf(config) : await templateFromFile(templatePath);
  if (text === undefined) return undefined;
  const file = basename(templatePath ?? 'tokenizer_config.json');
  if (text.length > MAX_TEMPLATE) throw tooLong(file, `${text.length} characters`);
  const tokens = TOKEN_NAMES.flatMap((name) => {
    const { success, data } = tokenText.safeParse(config[name]);
    return success ? [[name, data] as const] : [];
  });
  return { file, text, tokens: Object.fromEntries(tokens) };
}

async function templateFromFile(path: string): Promise<string | undefined> {
  const text = await readTemplateFile(path);
  return path.endsWith('.json') ? templateOf(fieldsOf(basename(path), text)) : text;
}

/** Reads a file that holds a template. @throws Error for a file that is too large, without reading it. */
export async function readTemplateFile(path: string): Promise<string> {
  const { handle } = await openModelFile(dirname(path), basename(path));
  try {
    const { size } = await handle.stat();
    if (size > MAX_TEMPLATE_BYTES) throw tooLong(basename(path), `${size} bytes`);
    return withoutMark(await handle.readFile('utf8'));
  } finally {
    await handle.close();
  }
}

function tooLong(file: string, length: string): Error {
  const remedy = "Shorten it, or use the template of the model's publisher.";
  return new Error(
    `The chat template in ${file} has ${length}; at most ${MAX_TEMPLATE} characters are allowed. ${remedy}`,
  );
}

/** The template in the fields of a JSON file: a string, or the entry named `default` of a list. */
function templateOf(fields: Readonly<Record<string, unknown>>): string | undefined {
  const { data } = templates.safeParse(fields['chat_template']);
  return typeof data === 'string' ? data : data?.find(({ name }) => name === 'default')?.template;
}

async function readObject(path: string): Promise<Record<string, unknown>> {
  return fieldsOf(basename(path), await readModelText(path));
}

function fieldsOf(file: string, text: string): Record<string, unknown> {
  try {
    return z.looseObject({}).parse(parseJson(text));
  } catch (error) {
    throw new Error(`${file} is ${error instanceof JsonError ? error.message : 'not a JSON object'}.`);
  }
}
