/**
 * Renderings of a chat template with sentinels: words that no template contains, so that their places
 * show the text around names, arguments and thoughts. Pure.
 */
import type { ChatTemplate } from '../../template/chat-template.ts';
import type { ChatMessage, Conversation, FunctionTool, Json, ToolCall } from '../../template/conversation.ts';
import type { RenderLimits } from '../../template/render-limits.ts';

/**
 * Limits of one rendering of a probe: far more than two short messages and two calls need. The steps and the
 * text bound the work; the time is long, so that a busy machine does not change a profile.
 */
export const PROFILE_RENDER: RenderLimits = { ms: 5_000, steps: 20_000, text: 2 ** 16 };
/** Milliseconds of all renderings of a profile together. They hold up the start; families need up to 50. */
export const MAX_PROBES_MS = 10_000;

export const WORDS = {
  user: 'zquser',
  later: 'zqlater',
  system: 'zqsystem',
  second: 'zqsecond',
  late: 'zqlate',
  answer: 'zqanswer',
  thought: 'zqthought',
  result: 'zqresult',
  tool: 'zqtool',
  nameA: 'zqnamea',
  nameB: 'zqnameb',
  key: 'zqkeya',
  otherKey: 'zqkeyb',
  value: 'zqvalue',
  number: '271828',
} as const;
/** Ids of nine alphanumerics: templates of Mistral accept no others. */
export const IDS = { a: 'zqidaaaa1', b: 'zqidbbbb2' } as const;

const CALL_ARGUMENTS = JSON.stringify({ [WORDS.key]: WORDS.value, [WORDS.otherKey]: Number(WORDS.number) });
const CALLS: readonly ToolCall[] = [
  { id: IDS.a, name: WORDS.nameA, arguments: CALL_ARGUMENTS },
  { id: IDS.b, name: WORDS.nameB, arguments: CALL_ARGUMENTS },
];
const TOOL: FunctionTool = {
  name: WORDS.tool,
  description: 'zqdescription',
  parameters: { type: 'object', properties: { [WORDS.key]: { type: 'string', description: 'zqkey' } } },
};
const USER: ChatMessage = { role: 'user', content: WORDS.user };
const ANSWER: ChatMessage = { role: 'assistant', content: WORDS.answer };

export class Probes {
  readonly template: ChatTemplate;
  #plain: string | undefined;
  /** Milliseconds of the renderings so far. */
  #spent = 0;

  constructor(template: ChatTemplate) {
    this.template = template;
  }

  /** The rendering, or undefined if the template refuses the conversation, or no time is left. */
  render(conversation: Conversation): string | undefined {
    const ms = Math.min(PROFILE_RENDER.ms, MAX_PROBES_MS - this.#spent);
    if (ms <= 0) return undefined;
    const start = performance.now();
    try {
      return this.template.render(conversation, { ...PROFILE_RENDER, ms });
    } catch {
      return undefined;
    } finally {
      this.#spent += performance.now() - start;
    }
  }

  /** One question. */
  plain(variables?: Readonly<Record<string, Json>>): string | undefined {
    if (variables) return this.render({ messages: [USER], variables });
    this.#plain ??= this.render({ messages: [USER] });
    return this.#plain;
  }

  /** An answer without calls. */
  answered(): string | undefined {
    return this.render({ messages: [USER, ANSWER, { role: 'user', content: WORDS.later }] });
  }

  /** An answer with thoughts, which is the last message. */
  thought(): string | undefined {
    return this.render({ messages: [USER, { ...ANSWER, reasoning: WORDS.thought }] });
  }

  /**
   * Calls, and their results.
   * @param textArguments true: the template gets the arguments as texts of JSON
   */
  called(count: 1 | 2, textArguments: boolean): string | undefined {
    const toolCalls = CALLS.slice(0, count);
    const results = toolCalls.map(({ id, name }, at) => {
      return { role: 'tool', content: at === 0 ? WORDS.result : WORDS.second, toolCallId: id, name };
    });
    const messages = [USER, { role: 'assistant', content: '', toolCalls }, ...results];
    return this.render({ messages, ...(textArguments && { textArguments }) });
  }

  /**
   * One call, with arguments as the template takes them: as objects, or as texts of JSON if it refuses
   * objects or writes them as Python does.
   */
  oneCall(): { readonly one: string | undefined; readonly textArguments: boolean } {
    const one = this.called(1, false);
    if (!one?.includes(WORDS.key) || one.includes(`'${WORDS.key}':`)) {
      const withText = this.called(1, true);
      if (withText?.includes(CALL_ARGUMENTS)) return { one: withText, textArguments: true };
    }
    return { one, textArguments: false };
  }

  /** True if the template lists tools. */
  listsTools(system: boolean): boolean {
    const messages = system ? [{ role: 'system', content: WORDS.system }, USER] : [USER];
    return this.render({ messages, tools: [TOOL] })?.includes(WORDS.tool) === true;
  }

  /** The system messages that the template accepts. */
  system(): 'any' | 'first' | 'none' {
    const [system, second, late] = [WORDS.system, WORDS.second, WORDS.late].map((content) => {
      return { role: 'system', content };
    });
    if (!system || !second || !late) return 'none';
    const many = this.render({ messages: [system, second, USER, ANSWER, late, { ...USER, content: WORDS.later }] });
    if (many !== undefined && [system, second, late].every(({ content }) => many.includes(content))) return 'any';
    return this.render({ messages: [system, USER] })?.includes(WORDS.system) === true ? 'first' : 'none';
  }
}

/** The text after the last place of a word; undefined if the word is not there. */
export function after(text: string | undefined, word: string): string | undefined {
  const at = text?.lastIndexOf(word) ?? -1;
  return at < 0 ? undefined : text?.slice(at + word.length);
}

/** The text between two words; undefined if they do not follow each other. */
export function between(text: string | undefined, from: string, to: string): string | undefined {
  const start = text?.indexOf(from) ?? -1;
  const end = start < 0 ? -1 : (text?.indexOf(to, start) ?? -1);
  return end < 0 ? undefined : text?.slice(start + from.length, end);
}

/** Length of the beginning that two texts share. */
export function sharedStart(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a.charAt(length) === b.charAt(length)) length += 1;
  return length;
}
