/**
 * Finds the token that ends an answer in a chat template, for a model whose files name no end-of-sequence
 * token. Without such a token, each output would run to its token limit.
 */
import { ChatTemplate } from '../text/template/chat-template.ts';
import type { Tokenizer } from '../text/tokenizer/tokenizer.ts';
import { PROBE_RENDER } from './open-text.ts';

/** A special token that ends an answer. */
export interface TurnEnd {
  readonly id: number;
  readonly text: string;
}

/** No template has this text. Some templates trim an answer, so it has no space at its ends. */
const ANSWER = 'Answer-7f3a91';
const PROBE = [
  { role: 'user', content: 'Question' },
  { role: 'assistant', content: ANSWER },
];
/** A template that could continue with the next answer would hide a missing end. */
const WITHOUT_GENERATION_PROMPT = '{%- set add_generation_prompt = false -%}';
/** UTF-16 units after the answer that are encoded: a token may be long, and a template longer. */
const MAX_REST = 1_024;

/**
 * Renders a conversation that ends with an answer, and takes the special token right after the answer. A
 * space between the two is allowed. A token on the next line is not taken: it can begin a turn.
 * @returns undefined if the template has no special token there, refuses the conversation, or needs more time
 *   than the event loop has for a probe
 */
export async function turnEndOf(template: ChatTemplate, tokenizer: Tokenizer): Promise<TurnEnd | undefined> {
  const rest = textAfterAnswer(template).slice(0, MAX_REST);
  if (rest === '') return undefined;
  const ids = await tokenizer.encode(rest, { addSpecialTokens: false });
  // The first special token can come later in the text, or stand for an unknown character.
  for (const id of ids) {
    const text = tokenizer.specialText(id);
    if (text) return rest.startsWith(text) ? { id, text } : undefined;
  }
  return undefined;
}

function textAfterAnswer({ source }: ChatTemplate): string {
  try {
    const template = new ChatTemplate({ ...source, text: WITHOUT_GENERATION_PROMPT + source.text });
    const text = template.render(PROBE, PROBE_RENDER);
    const at = text.lastIndexOf(ANSWER);
    return at < 0 ? '' : text.slice(at + ANSWER.length).replace(/^ {1,8}/, '');
  } catch {
    return ''; // A template may refuse these messages; requests report its errors.
  }
}
