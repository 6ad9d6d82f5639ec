/**
 * Derives from a chat template the markers of reasoning and the format of tool calls of its model. The
 * template is rendered twelve to fifteen times with sentinel words, and the renderings are compared. Pure.
 */
import type { ChatTemplate } from '../template/chat-template.ts';
import { callFormat } from './deriving/call-format.ts';
import { formatByMarker, GENERIC, HARMONY, HARMONY_REASONING } from './deriving/known-formats.ts';
import { Probes, WORDS } from './deriving/probes.ts';
import { reasoningFormat, reasoningVariables } from './deriving/reasoning-format.ts';
import type { CallFormat, OutputProfile, ReasoningFormat } from './output-profile.ts';
import { HARMONY_MARKERS } from './reading/harmony.ts';
import { partsOf } from './reading/input.ts';

/** Shorter texts, such as a bracket, are no special tokens. */
const SHORTEST_MARKER = 3;

const profiles = new WeakMap<ChatTemplate, OutputProfile>();

/**
 * The profile of a template; derived when it is first asked for. A rendering that the template refuses counts
 * as not supported: a template that refuses everything has the generic format.
 */
export function profileOf(template: ChatTemplate): OutputProfile {
  const known = profiles.get(template);
  if (known) return known;
  const profile = derive(template);
  profiles.set(template, profile);
  return profile;
}

function derive(template: ChatTemplate): OutputProfile {
  const probes = new Probes(template);
  const { text } = template.source;
  const system = probes.system();
  const plain = probes.plain() ?? '';
  if (text.includes('<|channel|>') && plain.includes('<|start|>') && plain.includes('<|message|>')) {
    const found = { calls: HARMONY, writesCalls: true, writesResults: true, textArguments: false };
    return profileWith(probes, { ...found, toolList: 'template', system, reasoning: HARMONY_REASONING });
  }
  const lists = probes.listsTools(system !== 'none');
  const answered = probes.answered();
  const reasoning = reasoningFormat(probes, answered);
  const found = lists || text.includes('<|tool|>') ? callsOf(probes, answered) : undefined;
  const toolList = found === undefined ? 'generic' : lists ? 'template' : 'system';
  const calls = found ?? { calls: GENERIC, ...NO_HISTORY };
  return profileWith(probes, { ...calls, toolList, system, ...(reasoning && { reasoning }) });
}

type FoundCalls = Pick<OutputProfile, 'calls' | 'writesCalls' | 'writesResults' | 'textArguments'>;

const NO_HISTORY = { writesCalls: false, writesResults: false, textArguments: false };

function callsOf(probes: Probes, answered: string | undefined): FoundCalls | undefined {
  const { text } = probes.template.source;
  const { one, textArguments } = probes.oneCall();
  const two = one?.includes(WORDS.key) ? probes.called(2, textArguments) : undefined;
  const derived = one?.includes(WORDS.key) ? callFormat({ answered, one, two, text }) : undefined;
  const writesResults = one?.includes(WORDS.result) === true;
  if (derived) return { calls: derived, writesCalls: true, writesResults, textArguments };
  const calls = formatByMarker(text);
  return calls && { ...NO_HISTORY, calls, writesResults };
}

type Facts = FoundCalls & Pick<OutputProfile, 'toolList' | 'system'> & { readonly reasoning?: ReasoningFormat };

function profileWith(probes: Probes, facts: Facts): OutputProfile {
  const { reasoning, calls } = facts;
  const ofReasoning = calls.style === 'harmony' ? HARMONY_MARKERS : reasoning ? [reasoning.open, reasoning.close] : [];
  const all = [...new Set([...ofReasoning, ...markersOf(calls)])];
  return {
    ...facts,
    reasoningVariables: reasoningVariables(probes),
    markers: { reasoning: ofReasoning, all },
  };
}

/** The texts of a format that can be special tokens. */
function markersOf(calls: CallFormat): readonly string[] {
  const texts = [calls.sectionOpen, calls.sectionClose, calls.callOpen, calls.callClose];
  if (calls.style === 'named') texts.push(calls.idMarker, calls.separator);
  if (calls.style === 'json') texts.push(calls.prefix ?? '');
  if (calls.style === 'gemma') texts.push(calls.quote, calls.responseOpen ?? '');
  if (calls.style === 'tagged')
    texts.push(calls.nameClose, calls.keyOpen, calls.keyClose, calls.otherKeyClose, calls.valueClose);
  return texts.flatMap(partsOf).filter((part) => part.length >= SHORTEST_MARKER);
}
