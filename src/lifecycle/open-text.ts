/**
 * Opens the text part of a model: tokenizer and chat templates. Renders one short message with each template,
 * so that the operator learns at the start, and not from a caller, that a template cannot be used.
 */
import { type FoundTemplate, readTemplates, type TemplateFiles } from '../model/template-source.ts';
import { narrate } from '../narration/narrate.ts';
import { messageOf } from '../protocol/error-message.ts';
import { ChatTemplate, ownMessage, type TemplateSource } from '../text/template/chat-template.ts';
import { ChatTemplates, type NamedTemplate } from '../text/template/chat-templates.ts';
import { RenderBudgetError } from '../text/template/render-limits.ts';
import { LOOP_RENDER, Tokenizer } from '../text/tokenizer/tokenizer.ts';
import type { TokenizerFiles } from '../text/tokenizer/tokenizer-files.ts';

/** A word of the probe that must be in its prompt, in any case. */
const PROBE_WORD = 'haiku';
/** One plain message of a user: every usable template can render it. */
const PROBE = [{ role: 'user', content: `Write a ${PROBE_WORD} about morning light.` }] as const;

/** The open text part of a model. */
export interface OpenedText {
  readonly tokenizer: Tokenizer;
  /** With the ids of the probe, for the templates that can be used. */
  readonly templates: readonly ProbedTemplate[];
}

export interface ProbedTemplate extends NamedTemplate {
  readonly ids?: readonly number[];
}

/**
 * Opens tokenizer and templates, and uses both once: the first use takes milliseconds, which would delay a
 * request. A template that cannot be used does not end the load; its reason is part of the result.
 * @param onThreadReplaced called when a text took too much time or memory
 * @throws Error for a tokenizer that cannot be used
 */
export async function openText(
  files: TokenizerFiles & TemplateFiles,
  onThreadReplaced: (reason: string) => void = () => undefined,
): Promise<OpenedText> {
  const { templates: found, tokens } = await readTemplates(files);
  const parsed = found.map((one) => parse(one, tokens));
  const templates = parsed.flatMap(({ template }) => template ?? []);
  const tokenizer = await Tokenizer.open(files, { templates, onThreadReplaced });
  const probed: ProbedTemplate[] = [];
  for (const one of parsed) probed.push(await probe(one, tokenizer));
  const ids = probed.find((one) => one.ids)?.ids;
  tokenizer.decode(ids ?? (await tokenizer.encode(PROBE[0].content, { addSpecialTokens: true })));
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
    const token = JSON.stringify(tokenizer.tokenOf(beyond));
    return {
      ...one,
      reason: `it needs the token ${token}, id ${beyond}, and the ids of the model end at ${idLimit - 1}`,
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

function parse({ text, ...one }: FoundTemplate, tokens: TemplateSource['tokens']): NamedTemplate {
  if (text === undefined) return one;
  try {
    return { ...one, template: new ChatTemplate({ ...one, text, tokens }) };
  } catch (error) {
    return { ...one, reason: messageOf(error).replace(`The chat template in ${one.file}`, 'it') };
  }
}

/** Renders and encodes the probe: within small limits here, and otherwise on the thread, which has a deadline. */
async function probe(one: NamedTemplate, tokenizer: Tokenizer): Promise<ProbedTemplate> {
  const { name, file, template } = one;
  if (!template) return one;
  try {
    const text = renderedHere(template);
    if (text !== undefined && !text.toLowerCase().includes(PROBE_WORD))
      return { name, file, reason: 'its prompt lacks the text of the message' };
    const ids = await tokenizer.encode(text ?? PROBE, { addSpecialTokens: false, template });
    return { ...one, ids };
  } catch (error) {
    const own = ownMessage(error);
    const reason = own === undefined ? messageOf(error) : `it cannot render one message of a user: ${own}`;
    return { name, file, reason };
  }
}

/** The prompt of the probe; undefined if it needs more time than the event loop has. */
function renderedHere(template: ChatTemplate): string | undefined {
  try {
    return template.render(PROBE, LOOP_RENDER);
  } catch (error) {
    if (error instanceof RenderBudgetError) return undefined;
    throw error;
  }
}
