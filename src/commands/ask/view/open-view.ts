/** Chooses the view of a run by its streams. */
import type { Terminal } from '../../terminal.ts';
import type { AskArguments } from '../arguments/ask-arguments.ts';
import type { LiveStreams } from './live-view.ts';
import type { View } from './view.ts';

/** The streams of the command. */
export interface Streams {
  readonly out: Terminal;
  readonly err: Terminal;
}

/**
 * Opens a view. The live view needs a terminal for its pane. Its answer is on the same terminal, or in a
 * file; a pipe can end in the same terminal, where the pane would disturb the text.
 */
export async function openView(
  { out, err }: Streams,
  { isJson, narration }: Pick<AskArguments, 'isJson' | 'narration'>,
): Promise<View> {
  if (isJson) {
    const { JsonView } = await import('./json-view.ts');
    return new JsonView(out);
  }
  const answer = placeOf(out, err);
  // Behind a pipe, a story comes line by line: nothing can follow the answer.
  const isLine = narration === 'none' || (narration === 'story' && answer === 'pipe');
  if (!isLine && err.canRedraw && answer !== undefined) {
    const { LiveView } = await import('./live-view.ts');
    return new LiveView({ terminal: err, out, answer, keepsStory: narration === 'story' });
  }
  const { PlainView } = await import('./plain-view.ts');
  return new PlainView({ out, err, narrates: narration !== 'none' });
}

/** The place of the answer for a live view. Undefined for two different terminals. */
function placeOf(out: Terminal, err: Terminal): LiveStreams['answer'] | undefined {
  if (out.isTTY) return out.sharesTargetWith(err) ? 'above' : undefined;
  return out.isFile ? 'file' : 'pipe';
}
