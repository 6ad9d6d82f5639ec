/**
 * Reads a model's chat templates from the files of the model's folder. A template that cannot be read is
 * reported and does not end the load: the model can still continue raw prompts.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../protocol/text/error-message.ts';
import { JsonError, parseJson, withoutMark } from '../protocol/text/json-text.ts';
import type { DerivedFiles } from './checkpoint/gguf/derived-files.ts';
import { openModelFile, RefusedFile, readModelText, textOfModel } from './folder-files.ts';
import { type JsonSource, sourceName } from './spec/json-fields.ts';
import { sourcesOf } from './spec/sources.ts';

/** Paths of the files that can hold templates. */
export interface TemplateFiles {
  /** The model's folder; absent: no `additional_chat_templates` are read. */
  readonly folder?: string;
  /** If absent, the template names no special token. */
  readonly tokenizerConfigFile?: string;
  /** The metadata of a GGUF file, for a `tokenizerConfigFile` that is absent or has no template. */
  readonly derived?: DerivedFiles;
  /**
   * `chat_template.jinja`, or a JSON file with the field `chat_template`. Takes precedence over
   * tokenizer_config.json, as in transformers.
   */
  readonly chatTemplateFile?: string;
}

/** A chat template from a file: its text, or the reason why there is none. */
export interface FoundTemplate {
  /** `default`, or the name in a list or of a file. */
  readonly name: string;
  /** Name of the file, relative to the folder of the model. */
  readonly file: string;
  /** The template, in Jinja. */
  readonly text?: string;
  /** Why the template cannot be used. */
  readonly reason?: string;
}

/** Longest chat template in UTF-16 units. The templates of published models have up to 20 000. */
export const MAX_TEMPLATE = 2 ** 18;
/** A UTF-16 unit has at most three bytes in UTF-8. */
const MAX_TEMPLATE_BYTES = 3 * MAX_TEMPLATE;
/** Most chat templates of a model; published models have up to three. The default one is always read. */
export const MAX_TEMPLATES = 16;
/** Name of the template that requests use which name none. */
const DEFAULT_TEMPLATE = 'default';
/** Folder of further templates, `NAME.jinja`, as transformers 4.52 and later write them. */
const MORE_TEMPLATES = 'additional_chat_templates';

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
/** Templates by name: a list as in tokenizer_config.json, or an object as processors write it. */
const listed = z.array(z.looseObject({ name: z.string(), template: z.unknown().optional() }));
const byName = z.record(z.string(), z.unknown());

/** The special tokens that a template names; it cannot be rendered without their texts. */
export function namedTokens(template: string): string[] {
  return TOKEN_NAMES.filter((name) => template.includes(name));
}

/**
 * Reads every template; no two have the same name. The first file in this list takes precedence:
 * `additional_chat_templates/NAME.jinja`, then the template file, and without a template in it
 * tokenizer_config.json, and then the metadata of a GGUF file.
 * @throws Error for a tokenizer_config.json that cannot be read or is not JSON.
 */
export async function readTemplates(files: TemplateFiles): Promise<FoundTemplate[]> {
  const { folder, chatTemplateFile: templatePath, derived } = files;
  const { tokenizerConfig } = sourcesOf(files);
  const config = tokenizerConfig === undefined ? {} : await fieldsFrom(tokenizerConfig);
  const own = templatePath === undefined ? [] : await templatesOfFile(templatePath);
  if (own.length === 0) own.push(...templatesIn(config, sourceName(tokenizerConfig)));
  if (own.length === 0 && derived) own.push(...templatesIn(derived.tokenizerConfig, derived.origin.file));
  if (own.length === 0 && templatePath !== undefined)
    own.push(unusable(DEFAULT_TEMPLATE, basename(templatePath), 'it lacks "chat_template"'));
  const more = folder === undefined ? [] : await additionalTemplates(folder);
  const unique = [...new Map([...own, ...more].map((one) => [one.name, one])).values()];
  const isDefault = ({ name }: FoundTemplate): boolean => name === DEFAULT_TEMPLATE;
  const ordered = [...unique.filter(isDefault), ...unique.filter((one) => !isDefault(one))];
  return ordered.slice(0, MAX_TEMPLATES);
}

/** The templates in the field `chat_template` of a JSON file: a text, or several by name. */
function templatesIn(fields: Readonly<Record<string, unknown>>, file: string): FoundTemplate[] {
  const value = fields['chat_template'];
  if (value === undefined || value === null) return [];
  if (typeof value === 'string') return [templateOf(DEFAULT_TEMPLATE, file, value)];
  const list = listed.safeParse(value).data?.map(({ name, template }) => [name, template] as const);
  const object = Array.isArray(value) ? undefined : byName.safeParse(value).data;
  const entries = list ?? (object && Object.entries(object));
  if (!entries) return [unusable(DEFAULT_TEMPLATE, file, '"chat_template" is neither a text nor a list of templates')];
  return entries.map(([name, template]) => templateOf(name, file, template));
}

function templateOf(name: string, file: string, text: unknown): FoundTemplate {
  if (typeof text !== 'string') return unusable(name, file, 'the template is not a text');
  return text.length > MAX_TEMPLATE ? unusable(name, file, tooLong(`${text.length} characters`)) : { name, file, text };
}

/** A template with its reason as a part of a sentence, without a full stop. */
const unusable = (name: string, file: string, reason: string): FoundTemplate => ({
  name,
  file,
  reason: reason.replace(/\.$/, ''),
});

/** The message of a refused file continues a sentence that begins with its name. */
const reasonOf = (error: unknown): string => (error instanceof RefusedFile ? 'it ' : '') + messageOf(error);

const tooLong = (length: string): string => `it has ${length}; at most ${MAX_TEMPLATE} characters are allowed`;

async function templatesOfFile(path: string): Promise<FoundTemplate[]> {
  const file = basename(path);
  try {
    const text = await readTemplateFile(dirname(path), file);
    return path.endsWith('.json')
      ? templatesIn(fieldsOf(file, text), file)
      : [templateOf(DEFAULT_TEMPLATE, file, text)];
  } catch (error) {
    return [unusable(DEFAULT_TEMPLATE, file, reasonOf(error))];
  }
}

/** The templates of the folder `additional_chat_templates`, in the order of their names. */
async function additionalTemplates(folder: string): Promise<FoundTemplate[]> {
  const names = await readdir(join(folder, MORE_TEMPLATES)).catch(() => []);
  const found: FoundTemplate[] = [];
  for (const entry of names
    .filter((name) => name.endsWith('.jinja') && name !== '.jinja')
    .sort()
    .slice(0, MAX_TEMPLATES)) {
    const [name, file] = [entry.slice(0, -'.jinja'.length), `${MORE_TEMPLATES}/${entry}`];
    try {
      found.push(templateOf(name, file, await readTemplateFile(folder, file)));
    } catch (error) {
      found.push(unusable(name, file, reasonOf(error)));
    }
  }
  return found;
}

/**
 * Reads a file that holds a template.
 * @param file path relative to `folder`
 * @throws Error for a file that is too large, without reading it; for one that is not UTF-8; as
 * `openModelFile`.
 */
export async function readTemplateFile(folder: string, file: string): Promise<string> {
  const { handle } = await openModelFile(folder, file);
  try {
    const { size } = await handle.stat();
    if (size > MAX_TEMPLATE_BYTES) throw new Error(tooLong(`${size} bytes`));
    return withoutMark(textOfModel(await handle.readFile()));
  } finally {
    await handle.close();
  }
}

async function fieldsFrom(source: JsonSource): Promise<Readonly<Record<string, unknown>>> {
  return typeof source === 'object' ? source.fields : fieldsOf(basename(source), await readModelText(source));
}

function fieldsOf(file: string, text: string): Record<string, unknown> {
  try {
    return z.looseObject({}).parse(parseJson(text));
  } catch (error) {
    throw new Error(`${file} is ${error instanceof JsonError ? error.message : 'not a JSON object'}.`);
  }
}
