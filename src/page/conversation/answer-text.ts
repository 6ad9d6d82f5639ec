/** The text of an answer as elements: JSON if it is JSON, otherwise Markdown. Only changed blocks are replaced. */
import { h } from '../dom.ts';
import { highlightedJson, prettyJson } from '../text/json.ts';
import { markdown } from '../text/markdown.ts';

export class AnswerText {
  readonly element = h('div', { class: 'prose' });
  #text: string | undefined;
  #isRunning: boolean | undefined;

  /** @param isRunning true: more text follows, so a text that begins like JSON is shown as it is */
  update(text: string, isRunning: boolean): void {
    if (text === this.#text && isRunning === this.#isRunning) return;
    this.#text = text;
    this.#isRunning = isRunning;
    const pretty = prettyJson(text);
    const isUnfinishedJson = isRunning && /^\s*[[{]/.test(text);
    if (pretty !== undefined) this.#set([highlightedJson(pretty)]);
    else if (isUnfinishedJson) this.#set([highlightedJson(text)]);
    else this.#set(markdown(text.replace(/^\n+|\s+$/g, '')));
  }

  #set(blocks: readonly HTMLElement[]): void {
    const shown = [...this.element.children];
    for (const [index, block] of blocks.entries()) {
      const old = shown[index];
      if (!old) this.element.append(block);
      else if (!old.isEqualNode(block)) old.replaceWith(block);
    }
    for (const extra of shown.slice(blocks.length)) extra.remove();
  }
}
