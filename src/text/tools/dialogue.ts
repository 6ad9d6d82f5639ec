/**
 * Prepares a conversation for the chat template of a model, and the parser for its outputs: roles and tools
 * as the template accepts them, the beginning of the answer for a required call. Pure.
 */
import type { OutputFormat } from '../../grammar/output-format.ts';
import type { OutputParser } from '../output/parts.ts';
import type { ChatTemplate } from '../template/chat-template.ts';
import type { ChatMessage, Conversation, FunctionTool, Json } from '../template/conversation.ts';
import { constrains } from './constraint/add-calls.ts';
import type { CallsSource } from './constraint/source.ts';
import { after, IDS, PROFILE_RENDER, WORDS } from './deriving/probes.ts';
import { endsInside } from './deriving/reasoning-format.ts';
import type { OutputProfile } from './output-profile.ts';
import { OutputReader } from './reading/output-reader.ts';
import type { ToolUse } from './tool-use.ts';
import { genericToolText, systemToolText, withWrittenCalls } from './written-calls.ts';

export interface Dialogue {
  /** The conversation to render. */
  readonly conversation: Conversation;
  /** Makes the parser of one output: one for each output of a request. */
  readonly parser: () => OutputParser;
  /** Texts whose special tokens the decoder must show to the parser. */
  readonly markers: readonly string[];
  /**
   * The source of the grammar of the output, without the special tokens, which the tokenizer knows
   * (`markedIds`). Absent: the output may be any text.
   */
  readonly grammar?: DialogueGrammar;
}

export type DialogueGrammar = Omit<CallsSource, 'specialIds'>;

/** The tools that an output may call, and the form of an answer. */
export interface OutputUse extends ToolUse {
  readonly format?: OutputFormat | undefined;
}

/** Variables of a request whose JSON is longer are rendered each time, and not remembered. */
const MAX_REMEMBERED_UNITS = 256;
/** UTF-16 units of the end of a prompt that are searched for the markers of the reasoning. */
const MAX_END_UNITS = 1_024;
/** Variants of variables that are remembered for a template. */
export const MAX_REMEMBERED_VARIANTS = 64;

/**
 * Prepares one request.
 *
 * - The role `developer` becomes `system`. System messages that the template refuses are joined into the
 *   first one; a template without a system message gets them at the beginning of the first user message.
 * - Tools of a template that lists none are described in the system message. Calls and results of earlier
 *   turns that the template does not write become texts.
 * - With the choice `none` the model is offered no tool. With `required` or a name the answer begins with the
 *   first characters of a call, which the parser has read already.
 */
export function prepareDialogue(
  profile: OutputProfile,
  template: ChatTemplate,
  conversation: Conversation,
  toolUse: OutputUse,
): Dialogue {
  const tools = toolUse.choice === 'none' ? [] : (conversation.tools ?? []);
  const messages = withSystem(profile, withTools(profile, withRoles(conversation.messages), tools));
  const { answerStart: given = '', variables } = conversation;
  const inReasoning = promptEndsInside(profile, template, { messages, variables, given });
  const start = tools.length > 0 ? callStart(profile, toolUse, inReasoning) : '';
  const answerStart = given + start;
  const reading = { tools, parallel: toolUse.parallel, hasForm: toolUse.format !== undefined, inReasoning };
  const grammar = grammarOf(profile, { tools, toolUse, inReasoning, continues: given !== '' });
  return {
    conversation: {
      messages: withHistory(profile, messages),
      ...(variables && { variables }),
      ...(profile.textArguments && { textArguments: true }),
      ...(tools.length > 0 && profile.toolList === 'template' && { tools }),
      ...(answerStart !== '' && { answerStart }),
    },
    parser: () => new OutputReader(profile, { ...reading, answerStart: start }),
    markers: tools.length > 0 ? profile.markers.all : profile.markers.reasoning,
    ...(grammar && { grammar }),
  };
}

interface Shown extends Pick<CallsSource, 'inReasoning' | 'continues'> {
  readonly tools: readonly FunctionTool[];
  readonly toolUse: OutputUse;
}

/** The source of the grammar; undefined if nothing constrains the output. */
function grammarOf(
  { calls, reasoning }: OutputProfile,
  { tools, toolUse: { choice, parallel, format }, ...prompt }: Shown,
): DialogueGrammar | undefined {
  const source = {
    ...prompt,
    ...{ calls, choice, parallel },
    tools: tools.map(({ name, parameters, strict }) => ({ name, parameters, strict })),
    ...(reasoning && { reasoning }),
    ...(format && { format }),
  };
  return constrains(source) ? source : undefined;
}

const withRoles = (messages: readonly ChatMessage[]): readonly ChatMessage[] =>
  messages.map((message) => (message.role === 'developer' ? { ...message, role: 'system' } : message));

/** Adds the list of tools to the first system message, if the template does not list them. */
function withTools(
  { toolList }: OutputProfile,
  messages: readonly ChatMessage[],
  tools: readonly FunctionTool[],
): readonly ChatMessage[] {
  if (tools.length === 0 || toolList === 'template') return messages;
  const text = toolList === 'system' ? systemToolText(tools) : genericToolText(tools);
  const [first, ...rest] = messages;
  if (first?.role !== 'system') return [{ role: 'system', content: text }, ...messages];
  const gap = toolList === 'system' || first.content === '' ? '' : '\n\n';
  return [{ ...first, content: first.content + gap + text }, ...rest];
}

function withSystem({ system }: OutputProfile, messages: readonly ChatMessage[]): readonly ChatMessage[] {
  if (system === 'any') return messages;
  const content = messages
    .filter(({ role, content }) => role === 'system' && content !== '')
    .map((message) => message.content)
    .join('\n\n');
  const others = messages.filter(({ role }) => role !== 'system');
  if (others.length === messages.length) return messages;
  if (system === 'first') return [{ role: 'system', content }, ...others];
  const at = others.findIndex(({ role }) => role === 'user');
  const user = others[at];
  if (!user) return [{ role: 'user', content }, ...others];
  return others.with(at, { ...user, content: content === '' ? user.content : `${content}\n\n${user.content}` });
}

/** Earlier calls and their results, as the template accepts them. */
function withHistory(profile: OutputProfile, messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const { calls, writesCalls, writesResults } = profile;
  if (!messages.some(({ role, toolCalls = [] }) => role === 'tool' || toolCalls.length > 0)) return messages;
  if (!writesCalls || !writesResults) return withWrittenCalls(messages, profile);
  const single = calls.parallel ? messages : withSingleCalls(messages);
  return calls.style === 'named' && calls.nameInId ? withNamesAsIds(single) : single;
}

/** Divides answers with several calls: each call is followed by its result. Linear in the messages. */
function withSingleCalls(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const divided: ChatMessage[] = [];
  for (let at = 0; at < messages.length; at += 1) {
    const message = messages[at];
    if (!message) continue;
    const { toolCalls = [], ...rest } = message;
    if (toolCalls.length < 2) {
      divided.push(message);
      continue;
    }
    const results = new Map<string | undefined, ChatMessage[]>(toolCalls.map(({ id }) => [id, []]));
    const others: ChatMessage[] = [];
    for (let next = messages[at + 1]; next?.role === 'tool'; next = messages[at + 1]) {
      (results.get(next.toolCallId) ?? others).push(next);
      at += 1;
    }
    toolCalls.forEach((call, index) => {
      divided.push(index === 0 ? { ...rest, toolCalls: [call] } : { role: rest.role, content: '', toolCalls: [call] });
      for (const result of results.get(call.id) ?? []) divided.push(result);
      // A second call with the same id has no result of its own.
      results.set(call.id, []);
    });
    for (const result of others) divided.push(result);
  }
  return divided;
}

/** Replaces the ids by `functions.NAME:0`, with the number of the call in the conversation. */
function withNamesAsIds(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const ids = new Map<string, string>();
  return messages.map((message) => {
    const { toolCalls, toolCallId } = message;
    const renamed = toolCalls?.map((call) => {
      const id = `functions.${call.name}:${ids.size}`;
      ids.set(call.id, id);
      return { ...call, id };
    });
    const answered = toolCallId === undefined ? undefined : (ids.get(toolCallId) ?? toolCallId);
    return {
      ...message,
      ...(renamed && { toolCalls: renamed }),
      ...(answered !== undefined && { toolCallId: answered }),
    };
  });
}

/** The first characters of the answer for a required call. */
function callStart({ calls, reasoning }: OutputProfile, { choice }: ToolUse, inReasoning: boolean): string {
  if (choice === 'auto' || choice === 'none') return '';
  const closing = inReasoning ? (reasoning?.closing ?? '') : '';
  const call = choice === 'required' ? calls.opening : calls.opening + choice.name + calls.afterName;
  return closing + call;
}

interface Shape {
  readonly messages: readonly ChatMessage[];
  readonly variables: Readonly<Record<string, Json>> | undefined;
  /** The beginning of the answer, from the request. */
  readonly given: string;
}

const QUESTION: readonly ChatMessage[] = [{ role: 'user', content: WORDS.user }];
const CALLED: readonly ChatMessage[] = [
  ...QUESTION,
  { role: 'assistant', content: '', toolCalls: [{ id: IDS.a, name: WORDS.nameA, arguments: '{}' }] },
  { role: 'tool', content: WORDS.result, toolCallId: IDS.a, name: WORDS.nameA },
];
const remembered = new WeakMap<ChatTemplate, Map<string, string>>();

/**
 * True if the prompt ends inside of the reasoning, as the prompt of a small conversation of the same shape
 * does.
 */
function promptEndsInside(profile: OutputProfile, template: ChatTemplate, shape: Shape): boolean {
  const { reasoning, calls, writesResults, textArguments } = profile;
  if (!reasoning || calls.style === 'harmony') return false;
  const afterTool = writesResults && shape.messages.at(-1)?.role === 'tool';
  const conversation = {
    messages: afterTool ? CALLED : QUESTION,
    ...(textArguments && { textArguments }),
    ...(shape.variables && { variables: shape.variables }),
  };
  return endsInside(promptEnd(template, conversation, afterTool) + shape.given, reasoning);
}

/** The end of a prompt behind its last message; `''` if the template refuses the small conversation. */
function promptEnd(template: ChatTemplate, conversation: Conversation, afterTool: boolean): string {
  const key = JSON.stringify([afterTool, conversation.variables ?? {}]);
  const known = remembered.get(template) ?? new Map<string, string>();
  const found = known.get(key);
  if (found !== undefined) return found;
  let end = '';
  try {
    const text = template.render(conversation, PROFILE_RENDER);
    end = (after(text, afterTool ? WORDS.result : WORDS.user) ?? '').slice(-MAX_END_UNITS);
  } catch {
    // A refused conversation is remembered too.
  }
  if (key.length > MAX_REMEMBERED_UNITS) return end;
  if (known.size >= MAX_REMEMBERED_VARIANTS) known.clear();
  remembered.set(template, known.set(key, end));
  return end;
}
