/** The causes of changes of the speed as a list below the plot. */
import { h } from '../dom.ts';
import { duration } from '../text/format.ts';
import { causeOf } from './causes.ts';
import type { Sentence } from './story.ts';

/** Causes that the list shows: the last ones. */
const MOST_SHOWN = 4;

/** The last causes of a story as a list; undefined without any. */
export function causeList(sentences: readonly Sentence[], times: readonly number[]): HTMLElement | undefined {
  const causes = sentences.flatMap((sentence, index) => {
    const cause = causeOf(sentence);
    return cause ? [{ cause, time: times[index] ?? 0 }] : [];
  });
  if (causes.length === 0) return undefined;
  const items = causes
    .slice(-MOST_SHOWN)
    .map(({ cause: { glyph, label, slower }, time }) =>
      h(
        'li',
        { class: slower ? 'slower' : 'faster' },
        h('span', { class: 'glyph', 'aria-hidden': 'true' }, glyph),
        h('span', { class: 'label' }, label),
        h('span', { class: 'number' }, duration(time)),
      ),
    );
  return h('ul', { class: 'causes', 'aria-label': 'Causes of changes of the speed' }, ...items);
}
