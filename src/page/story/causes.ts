/** The events that change the speed of a request. Pure. */
import type { EventName, Sentence } from './story.ts';

/** A mark of the plot. */
export interface Cause {
  readonly glyph: string;
  readonly label: string;
  /** True if the request gets slower. */
  readonly slower: boolean;
}

const slower = (glyph: string, label: string): Cause => ({ glyph, label, slower: true });
const faster = (glyph: string, label: string): Cause => ({ glyph, label, slower: false });

const CAUSES: Readonly<Record<string, Cause>> = {
  'batch.joined': slower('+', 'with neighbours'),
  'batch.grew': slower('+', 'a neighbour joined'),
  'batch.shrank': faster('−', 'a neighbour left'),
  'generation.slowed': slower('↓', 'slower'),
  'reader.slow': slower('…', 'a slow reader'),
  'generation.paused': slower('‖', 'paused'),
  'generation.resumed': faster('▸', 'resumed'),
  'request.requeued': slower('!', 'queued again'),
  'request.engine_lost': slower('!', 'engine lost'),
  'request.interrupted': slower('!', 'engine lost'),
  'request.held': slower('…', 'waits for a test'),
  'request.preempted': slower('…', 'makes room'),
  'request.resumed': faster('▸', 'goes on'),
  'request.stalled': slower('!', 'engine silent'),
  'request.recovered': faster('▸', 'engine answers'),
} satisfies Partial<Record<EventName, Cause>>;

/** Causes of `generation.slowed`, from its field `cause`. */
const SLOWED: Readonly<Record<string, string>> = {
  neighbours: 'slower: neighbours',
  long_prompt: 'slower: a long prompt',
  machine: 'slower: a busy machine',
  reader: 'slower: a slow reader',
};

/** The mark of a sentence; undefined if it changes no speed. */
export function causeOf({ event, facts }: Sentence): Cause | undefined {
  const cause = CAUSES[event];
  const label = event === 'generation.slowed' ? SLOWED[String(facts['cause'])] : undefined;
  return cause && label !== undefined ? { ...cause, label } : cause;
}
