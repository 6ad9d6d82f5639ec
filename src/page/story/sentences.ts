/** The narration of a request as a list. Reports of progress that follow each other share one row. */
import { fill, h } from '../dom.ts';
import { duration } from '../text/format.ts';
import { causeOf } from './causes.ts';
import { REPEATED, type Sentence } from './story.ts';

/** A row: its sentence is the last one of `count`. */
interface Row {
  readonly index: number;
  readonly count: number;
}

export interface ListOptions {
  readonly isCute: boolean;
  /** The time of every sentence, in milliseconds. */
  readonly times: readonly number[];
  /** Called with the index of the sentence that the pointer is on. */
  readonly onPoint: (index: number | undefined) => void;
}

export class SentenceList {
  readonly element = h('ol', { class: 'sentences', 'aria-label': 'Narration' });
  #rows: { readonly item: HTMLLIElement; key: string; index: number }[] = [];

  draw(sentences: readonly Sentence[], { isCute, times, onPoint }: ListOptions): void {
    const rows = rowsOf(sentences);
    for (const extra of this.#rows.splice(rows.length)) extra.item.remove();
    for (const [at, { index, count }] of rows.entries()) {
      const sentence = sentences[index];
      if (!sentence) continue;
      const time = times[index] ?? 0;
      const key = `${index}/${count}/${isCute}/${duration(time)}`;
      const row = this.#rows[at] ?? this.#addRow(onPoint);
      if (row.key === key) continue;
      row.key = key;
      row.index = index;
      row.item.className = `sentence level-${sentence.level.toLowerCase()} ${directionOf(sentence)}`;
      fill(row.item, ...contentOf(sentence, { time, count, isCute }));
    }
  }

  clear(): void {
    this.#rows = [];
    this.element.replaceChildren();
  }

  #addRow(onPoint: ListOptions['onPoint']): { readonly item: HTMLLIElement; key: string; index: number } {
    const item = h('li', { mouseenter: () => onPoint(row.index), mouseleave: () => onPoint(undefined) });
    const row = { item, key: '', index: 0 };
    // A row that arrives with others enters a little later than the one before.
    item.style.setProperty('--turn', String(Math.min(this.#rows.length, 14)));
    this.#rows.push(row);
    this.element.append(item);
    return row;
  }
}

function rowsOf(sentences: readonly Sentence[]): readonly Row[] {
  const rows: Row[] = [];
  for (const [index, { event }] of sentences.entries()) {
    const last = rows.at(-1);
    const isSame = last !== undefined && REPEATED.has(event) && sentences[last.index]?.event === event;
    if (isSame) rows[rows.length - 1] = { index, count: last.count + 1 };
    else rows.push({ index, count: 1 });
  }
  return rows;
}

/** A class for the dot of a sentence that tells why the speed changed. */
function directionOf(sentence: Sentence): string {
  const cause = causeOf(sentence);
  return cause === undefined ? '' : cause.slower ? 'slower' : 'faster';
}

interface Shown {
  readonly time: number;
  readonly count: number;
  readonly isCute: boolean;
}

function contentOf({ human, cute, story }: Sentence, { time, count, isCute }: Shown): readonly HTMLElement[] {
  const playful = isCute ? cute : undefined;
  const main = h('p', { class: 'main' }, playful ?? human);
  return [
    h('span', { class: 'at' }, duration(time), count > 1 && h('span', { class: 'times' }, `×${count}`)),
    h(
      'div',
      { class: 'words' },
      main,
      playful !== undefined && h('p', { class: 'plain' }, human),
      isCute && story !== undefined && h('p', { class: 'dialogue' }, story),
    ),
  ];
}
