/**
 * Opens the text part of a model: tokenizer and chat templates. Renders one short message with each template,
 * so that the operator learns at the start, and not from a caller, that a template cannot be used.
 */
import { setImmediate } from 'node:timers/promises';
import type { ModelTokens } from '../model/spec/merged-tokens.ts';
import { type FoundTemplate, readTemplates, type TemplateFiles } from '../model/template-source.ts';
import { narrate } from '../narration/narrate.ts';
import { lazy } from '../protocol/start/lazy.ts';
import { messageOf } from '../protocol/text/error-message.ts';
import { ChatTemplate, ownMessage, type TemplateSource } from '../text/template/chat-template.ts';
import { ChatTemplates, type NamedTemplate } from '../text/template/chat-templates.ts';
import type { ChatMessage } from '../text/template/conversation.ts';
import { RenderBudgetError, type RenderLimits } from '../text/template/render-limits.ts';
import { LOOP_RENDER, type OpenOptions, Tokenizer } from '../text/tokenizer/tokenizer.ts';
import type { TokenizerFiles } from '../text/tokenizer/tokenizer-files.ts';

/** A word of the probe that must be in its prompt, in any case. */
const PROBE_WORD = 'haiku';
const USER = { role: 'user', content: `Write a ${PROBE_WORD} about morning light.` } as const;
/** One plain message of a user, and then a system message before it: some templates refuse to go without. */
const PROBES: readonly (readonly ChatMessage[])[] = [[USER], [{ role: 'system', content: 'You are a poet.' }, USER]];
/**
 * Limits of the probe on the event loop. No request runs yet, and the first rendering compiles its code: with
 * the time of a request, a busy machine would start the thread for it.
 */
export const PROBE_RENDER: RenderLimits = { ...LOOP_RENDER, ms: 250 };
const NO_TEXT = 'its prompt lacks the text of the message';

/** The open text part of a model. */
export interface OpenedText {
  readonly tokenizer: Tokenizer;
  /** With the ids of the probe, for the templates that can be used. */
  readonly templates: readonly ProbedTemplate[];
}

export interface ProbedTemplate extends NamedTemplate {
  readonly ids?: readonly number[];
}

interface OpenTextOptions extends Pick<OpenOptions, 'onThreadReplaced' | 'threadEntry'> {
  readonly tokens: Pick<ModelTokens, 'added' | 'named'>;
}

/** The files of tokenizer and templates. Without a path of a tokenizer, its content is in `derived`. */
export type TextFiles = Partial<TokenizerFiles> & TemplateFiles;

/** The tokenizer of a model: its own file, or the content that a GGUF file gives. */
export function tokenizerOf({ tokenizerFile, derived }: TextFiles): TokenizerFiles {
  if (tokenizerFile !== undefined) return { tokenizerFile };
  return { tokenizerFile: derived?.origin.file ?? '', ...(derived && { content: derived.tokenizer }) };
}

/**
 * Opens tokenizer and templates, and uses both once: the first use takes milliseconds, which would delay a
 * request. A template that cannot be used does not end the load; its reason is part of the result.
 * @param options.tokens the added and the special tokens of all files of the model
 * @throws Error for a tokenizer that cannot be used
 */
export async function openText(
  files: TextFiles,
  { tokens: { added, named }, ...options }: OpenTextOptions,
): Promise<OpenedText> {
  const found = await readTemplates(files);
  const rendered: RenderedTemplate[] = [];
  for (const one of found) {
    rendered.push(openTemplate(one, named));
    await setImmediate(); // Between two templates, the event loop answers probes.
  }
  const templates = rendered.flatMap(({ template }) => template ?? []);
  const tokenizer = await Tokenizer.open(tokenizerOf(files), { ...options, templates, addedTokens: added });
  const probed: ProbedTemplate[] = [];
  for (const one of rendered) probed.push(await encodeProbe(one, tokenizer));
  const ids = probed.find((one) => one.ids)?.ids;
  tokenizer.decode(ids ?? (await tokenizer.encode(USER.content, { addSpecialTokens: true })));
  return { tokenizer, templates: probed };
}

/**
 * The templates, without those that need a token that the model lacks. Narrates every template that cannot be
 * used, and a choice that requests must make.
 * @param idLimit the model computes ids below this number
 */
export function usableTemplates({ tokenizer, templates }: OpenedText, idLimit: number): ChatTemplates {
  const checked = templates.map(({ ids, ...one }): NamedTemplate => {
    const beyond = ids?.find((id) => id >= idLimit);
    if (beyond === undefined) return one;
    return {
      ...one,
      reason: `it needs the token ${tokenizer.shownToken(beyond)}, id ${beyond}, and the ids of the model end at ${idLimit - 1}`,
    };
  });
  const result = new ChatTemplates(checked);
  const { fallback, names } = result;
  for (const one of checked) {
    if (one.reason === undefined) continue;
    const { name, file, reason } = one;
    narrate('template.unusable', { file, reason, ...(one !== fallback && { template: name }) });
  }
  if (result.exist && !fallback) narrate('template.ambiguous', { templates: names });
  return result;
}

/** A template and the prompt of the probe; without a prompt if it needs more time than the event loop has. */
interface RenderedTemplate extends NamedTemplate {
  readonly prompt?: string | undefined;
  /** The probe that the template renders. */
  readonly messages?: readonly ChatMessage[];
}

/**
 * Parses a template and renders the probes until one succeeds: each with its content as a text, and then as a
 * list of parts. The reason of a template that renders none is that of the first probe.
 */
function openTemplate({ name, file, text, reason }: FoundTemplate, tokens: TemplateSource['tokens']): RenderedTemplate {
  if (text === undefined) return { name, file, ...(reason !== undefined && { reason }) };
  const source = { name, file, text, tokens };
  try {
    const ways = [lazy(() => new ChatTemplate(source)), lazy(() => new ChatTemplate({ ...source, readsParts: true }))];
    let first: RenderedTemplate | undefined;
    for (const messages of PROBES)
      for (const template of ways) {
        const rendered = renderProbe(template(), messages);
        if (rendered.template) return rendered;
        first ??= rendered;
      }
    return first ?? { name, file, reason: NO_TEXT };
  } catch (error) {
    return { name, file, reason: reasonOf(error, file) };
  }
}

function renderProbe(template: ChatTemplate, messages: readonly ChatMessage[]): RenderedTemplate {
  const { name, file } = template.source;
  try {
    const prompt = renderedHere(template, messages);
    const isShown = prompt === undefined || prompt.toLowerCase().includes(PROBE_WORD);
    if (isShown) return { name, file, template, prompt, messages };
    return { name, file, reason: NO_TEXT };
  } catch (error) {
    return { name, file, reason: reasonOf(error, file) };
  }
}

/** The prompt of the probe; undefined if it needs more time than the event loop has. */
function renderedHere(template: ChatTemplate, messages: readonly ChatMessage[]): string | undefined {
  try {
    return template.render(messages, PROBE_RENDER);
  } catch (error) {
    if (error instanceof RenderBudgetError) return undefined;
    throw error;
  }
}

/**
 * Encodes the prompt of the probe; first renders it on the thread, which has a deadline, if it has none yet.
 */
async function encodeProbe(
  { prompt, messages = [USER], ...one }: RenderedTemplate,
  tokenizer: Tokenizer,
): Promise<ProbedTemplate> {
  const { name, file, template } = one;
  if (!template) return one;
  try {
    const ids = await tokenizer.encode(prompt ?? { messages }, { addSpecialTokens: false, template });
    const isComplete = prompt !== undefined || (await showsWord(ids, tokenizer));
    return isComplete ? { ...one, ids } : { name, file, reason: NO_TEXT };
  } catch (error) {
    return { name, file, reason: reasonOf(error, file) };
  }
}

/**
 * True if the text of the ids has the word of the probe, or if this tokenizer does not give the word back.
 */
async function showsWord(ids: readonly number[], tokenizer: Tokenizer): Promise<boolean> {
  const shows = (some: readonly number[]): boolean => tokenizer.decode(some).toLowerCase().includes(PROBE_WORD);
  return shows(ids) || !shows(await tokenizer.encode(USER.content, { addSpecialTokens: false }));
}

function reasonOf(error: unknown, file: string): string {
  const own = ownMessage(error);
  if (own !== undefined) return `it cannot render one message of a user: ${own}`;
  return messageOf(error).replace(`The chat template in ${file}`, 'it');
}
