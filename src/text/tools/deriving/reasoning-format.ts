/** Finds how a chat template marks the reasoning. Pure. */
import type { Json } from '../../template/conversation.ts';
import type { ReasoningFormat } from '../output-profile.ts';
import { after, type Probes, sharedStart, WORDS } from './probes.ts';

interface Pair {
  readonly open: string;
  readonly close: string;
}

/**
 * Markers of families. A template that shows no reasoning of history has the markers of the first pair in its
 * text.
 */
const PAIRS: readonly Pair[] = [
  { open: '<think>', close: '</think>' },
  { open: '[THINK]', close: '[/THINK]' },
  { open: '<|channel>thought', close: '<channel|>' },
  { open: '<seed:think>', close: '</seed:think>' },
  { open: '<|START_THINKING|>', close: '<|END_THINKING|>' },
  { open: '<reasoning>', close: '</reasoning>' },
];
/** UTF-16 units of the longest marker that is taken from a rendering. */
const MAX_MARKER = 40;

/** Two values of every known variable, which change the rendering of a template that reads the variable. */
const VARIABLES: Readonly<Record<string, readonly [Json, Json]>> = {
  enable_thinking: [true, false],
  thinking: [true, false],
  reasoning_effort: ['low', 'high'],
};

/** The markers of the reasoning; undefined for a template without reasoning. */
export function reasoningFormat(probes: Probes, answered: string | undefined): ReasoningFormat | undefined {
  const found = ofHistory(probes, answered) ?? literal(probes.template.source.text);
  return found && { ...found, forced: endsInside(after(probes.plain(), WORDS.user), found) };
}

/** The known variables that change the text of the template. */
export function reasoningVariables(probes: Probes): string[] {
  const { text } = probes.template.source;
  return Object.entries(VARIABLES).flatMap(([name, [one, other]]) => {
    if (!text.includes(name)) return [];
    return probes.plain({ [name]: one }) === probes.plain({ [name]: other }) ? [] : [name];
  });
}

/** True if a text opens a reasoning and does not close it. */
export function endsInside(text: string | undefined, { open, close }: Pair): boolean {
  return text !== undefined && text.lastIndexOf(open) > text.lastIndexOf(close);
}

type Found = Omit<ReasoningFormat, 'forced'>;

/** The markers around the thoughts of an earlier answer. */
function ofHistory(probes: Probes, answered: string | undefined): Found | undefined {
  const rendered = after(probes.thought(), WORDS.user);
  const thought = rendered?.indexOf(WORDS.thought) ?? -1;
  const answer = rendered?.indexOf(WORDS.answer, thought) ?? -1;
  if (rendered === undefined || thought < 0 || answer < 0) return undefined;
  const before = rendered.slice(0, thought).trimEnd();
  const closing = rendered.slice(thought + WORDS.thought.length, answer);
  const known = PAIRS.find(({ open, close }) => before.endsWith(open) && closing.trimStart().startsWith(close));
  if (known) return { ...known, closing };
  const plain = answered?.slice(answered.indexOf(WORDS.user) + WORDS.user.length) ?? '';
  const open = before.slice(sharedStart(plain, before)).trim();
  const close = closing.trim();
  if (open === '' || close === '' || Math.max(open.length, close.length) > MAX_MARKER) return undefined;
  return { open, close, closing };
}

function literal(text: string): Found | undefined {
  const pair = PAIRS.find(({ open, close }) => text.includes(open) && text.includes(close));
  // A template may name the opening marker only.
  const found = pair ?? PAIRS.slice(0, 2).find(({ open }) => text.includes(open));
  return found && { ...found, closing: `\n${found.close}\n\n` };
}
