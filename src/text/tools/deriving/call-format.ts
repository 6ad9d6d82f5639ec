/**
 * Derives the format of calls from renderings of an answer with one call and with two: the texts before,
 * between and after the calls are its markers. Pure.
 */
import type { CallFormat } from '../output-profile.ts';
import { between, IDS, sharedStart, WORDS } from './probes.ts';
import { type Found, findCall } from './span.ts';

/** The units of a comparison: a tag, a word in brackets, or one character. */
const UNIT = /<[^<>\s]*>|\[\/?[A-Z_]+\]|[\s\S]/gu;

/** Markers of the results of calls in the Gemma family: the models stop there. */
const GEMMA_RESPONSES = ['<start_function_response>', '<|tool_response>'];

/** UTF-16 units of the longest marker: a longer one is text of the template that belongs to no call. */
export const MAX_MARKER_UNITS = 100;
/** UTF-16 units of the longest rendering of calls that is searched; the families have at most 500. */
export const MAX_CALLS_UNITS = 2 ** 12;

export interface CallRenderings {
  readonly answered: string | undefined;
  readonly one: string | undefined;
  readonly two: string | undefined;
  /** Text of the template. */
  readonly text: string;
}

/** The format; undefined if the template does not write calls. */
export function callFormat({ answered, one, two, text }: CallRenderings): CallFormat | undefined {
  const plain = between(answered, WORDS.user, WORDS.later);
  const single = between(one, WORDS.user, WORDS.result);
  if (plain === undefined || single === undefined) return undefined;
  const answerAt = plain.indexOf(WORDS.answer);
  const head = sharedStart(plain.slice(0, answerAt), single);
  const region = callsRegion(single, head);
  const first = region === undefined ? undefined : findCall(region, { name: WORDS.nameA, id: IDS.a }, 0);
  if (region === undefined || !first) return undefined;
  const end = plain.slice(answerAt + WORDS.answer.length);
  const pair = pairOf(between(two, WORDS.user, WORDS.result), head);
  const markers = markersOf(region, { first, pair, end });
  const { sectionOpen, sectionClose, callOpen, callClose } = markers;
  const longest = Math.max(...[sectionOpen, sectionClose, callOpen, callClose].map((marker) => marker.length));
  if (longest > MAX_MARKER_UNITS) return undefined;
  const opening = (region.slice(0, first.start) + first.beforeName).trimStart();
  const common = { ...markers, opening, afterName: first.afterName, parallel: pair !== undefined };
  return formatOf(first, common, text);
}

type Common = Pick<
  CallFormat,
  'sectionOpen' | 'sectionClose' | 'callOpen' | 'callClose' | 'list' | 'opening' | 'afterName' | 'parallel'
>;

function formatOf({ details }: Found, common: Common, text: string): CallFormat {
  if (details.style === 'named' && details.nameInId)
    return { ...common, ...details, opening: `${common.opening}functions.`, afterName: `:0${common.afterName}` };
  if (details.style === 'gemma') {
    const responseOpen = GEMMA_RESPONSES.find((marker) => text.includes(marker));
    return { ...common, ...details, ...(responseOpen !== undefined && { responseOpen }) };
  }
  if (details.style !== 'json') return { ...common, ...details };
  const bare = common.sectionOpen === '' && common.callOpen === '';
  const prefix = bare && text.includes('<|python_tag|>') ? { prefix: '<|python_tag|>' } : {};
  return { ...common, ...details, ...prefix };
}

interface Pair {
  readonly region: string;
  readonly first: Found;
  readonly second: Found;
}

/** The rendering of two calls; undefined if the template refuses it or leaves one out. */
function pairOf(rendered: string | undefined, head: number): Pair | undefined {
  const region = rendered === undefined ? undefined : callsRegion(rendered, head);
  if (region === undefined) return undefined;
  const first = findCall(region, { name: WORDS.nameA, id: IDS.a }, 0);
  const second = first && findCall(region, { name: WORDS.nameB, id: IDS.b }, first.end);
  return first && second && { region, first, second };
}

type Markers = Pick<CallFormat, 'sectionOpen' | 'sectionClose' | 'callOpen' | 'callClose' | 'list'>;

function markersOf(
  region: string,
  { first, pair, end }: { readonly first: Found; readonly pair: Pair | undefined; readonly end: string },
): Markers {
  const before = region.slice(0, first.start).trim();
  const last = pair ? pair.region.slice(pair.second.end) : region.slice(first.end);
  const between = pair?.region.slice(pair.first.end, pair.second.start);
  const behind = beforeEnd(last, end);
  if (before.endsWith('[') && last.trimStart().startsWith(']')) {
    const sectionClose = (behind ?? ']').trim().slice(1).trim();
    return { sectionOpen: before.slice(0, -1).trim(), sectionClose, callOpen: '', callClose: '', list: true };
  }
  const list = false;
  if (between === undefined) {
    const callClose = (behind ?? unitsOf(last.trim())[0] ?? '').trim();
    return { sectionOpen: '', sectionClose: '', callOpen: before, callClose, list };
  }
  const open = sharedEnd(before, between.trimEnd());
  const gap = between.trimEnd().slice(0, between.trimEnd().length - open.length);
  const callClose = sharedBeginning(gap, last);
  const sectionOpen = before.slice(0, before.length - open.length).trim();
  const rest = (behind ?? '').slice(callClose.length).trim();
  return {
    sectionOpen,
    sectionClose: sectionOpen === '' ? '' : rest,
    callOpen: open.trim(),
    callClose: callClose.trim(),
    list,
  };
}

/** The text up to the end of the turn: the longest beginning of `end`, in units, that is in the text. */
function beforeEnd(text: string, end: string): string | undefined {
  const units = unitsOf(end.trimStart().slice(0, MAX_MARKER_UNITS));
  for (let count = units.length; count > 0; count -= 1) {
    const at = text.indexOf(units.slice(0, count).join(''));
    if (at >= 0) return text.slice(0, at);
  }
  return undefined;
}

const unitsOf = (text: string): readonly string[] => text.match(UNIT) ?? [];

/** The end that two texts share, in whole units. */
function sharedEnd(a: string, b: string): string {
  const [left, right] = [unitsOf(a), unitsOf(b)];
  let count = 0;
  while (count < left.length && left.at(-1 - count) === right.at(-1 - count)) count += 1;
  return left.slice(left.length - count).join('');
}

/** The beginning that two texts share, in whole units. */
function sharedBeginning(a: string, b: string): string {
  const [left, right] = [unitsOf(a), unitsOf(b)];
  let count = 0;
  while (count < left.length && left[count] === right[count]) count += 1;
  return left.slice(0, count).join('');
}

/**
 * The text from the beginning of an answer with calls on; undefined for a longer text than calls have. Some
 * templates write an empty reasoning before calls.
 */
function callsRegion(rendered: string, head: number): string | undefined {
  if (rendered.length - head > MAX_CALLS_UNITS) return undefined;
  return rendered.slice(head).replace(/^\s*(?:<think>\s*)?<\/think>\s*/, '');
}
