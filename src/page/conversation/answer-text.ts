/**
 * The text of an answer as elements: JSON if it is JSON, otherwise Markdown. Only changed blocks are
 * replaced.
 */
import { h } from '../dom.ts';
import { highlightedJson, prettyJson } from '../text/json.ts';
import { type MarkdownBlock, markdown } from '../text/markdown.ts';

export class AnswerText {
  readonly element = h('div', { class: 'prose' });
  #keys: readonly string[] = [];
  #text: string | undefined;
  #isRunning: boolean | undefined;

  /** @param isRunning true: more text follows, so a text that begins like JSON is shown as it is */
  update(text: string, isRunning: boolean): void {
    if (text === this.#text && isRunning === this.#isRunning) return;
    this.#text = text;
    this.#isRunning = isRunning;
    this.element.classList.toggle('verse', isVerse(text));
    const pretty = prettyJson(text);
    const isUnfinishedJson = isRunning && /^\s*[[{]/.test(text);
    if (pretty !== undefined) this.#set([jsonBlock(pretty)]);
    else if (isUnfinishedJson) this.#set([jsonBlock(text)]);
    else this.#set(markdown(text.replace(/^\n+/, '').trimEnd()));
  }

  #set(blocks: readonly MarkdownBlock[]): void {
    const shown = [...this.element.children];
    for (const [index, { key, element }] of blocks.entries()) {
      if (key === this.#keys[index]) continue;
      const old = shown[index];
      if (old) old.replaceWith(element());
      else this.element.append(element());
    }
    for (const extra of shown.slice(blocks.length)) extra.remove();
    this.#keys = blocks.map(({ key }) => key);
  }
}

const jsonBlock = (text: string): MarkdownBlock => ({ key: `json ${text}`, element: () => highlightedJson(text) });

/** Few short lines: a haiku has larger letters. */
function isVerse(text: string): boolean {
  const lines = text.trim().split('\n');
  return (
    lines.length <= 5 && lines.length > 1 && lines.every((line) => line.length <= 52 && !/^\s*[`#>[{|*-]/.test(line))
  );
}
