/**
 * A small part of Markdown as elements: code, headings, lists, quotes, bold and italic. Line breaks stay: a
 * haiku needs them. Links stay text: the page leads nowhere.
 */
import { type Child, h } from '../dom.ts';
import { highlightedJson, prettyJson } from './json.ts';

interface Block {
  readonly kind: 'text' | 'code' | 'heading' | 'list' | 'numbers' | 'quote';
  readonly lines: string[];
  /** The language of code, or the level of a heading. */
  readonly detail?: string;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)\s*$/;
const HEADING = /^(#{1,6})\s+(\S.*)$/;
const ITEM = /^\s*[-*+]\s+(.*)$/;
const NUMBER = /^\s*\d{1,9}[.)]\s+(.*)$/;
const QUOTE = /^>\s?(.*)$/;
const INLINE = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*/g;

/** A part of a text. Blocks with the same key look the same. */
export interface MarkdownBlock {
  readonly key: string;
  readonly element: () => HTMLElement;
}

/** The blocks of a text. Their elements are made on demand: while a text grows, most blocks stay. */
export const markdown = (text: string): readonly MarkdownBlock[] =>
  blocksOf(text).map((block) => ({ key: JSON.stringify(block), element: () => elementOf(block) }));

function blocksOf(text: string): readonly Block[] {
  const blocks: Block[] = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    const [, fence, language = ''] = FENCE.exec(line) ?? [];
    if (fence === undefined) addLine(blocks, line);
    else {
      const end = lines.findIndex((other, index) => index > at && other.trimEnd().trimStart() === fence);
      const stop = end < 0 ? lines.length : end;
      blocks.push({ kind: 'code', lines: lines.slice(at + 1, stop), detail: language });
      at = stop;
    }
  }
  return blocks;
}

/** The kinds of blocks that a line can begin or continue, with the part of the line that they show. */
const KINDS: readonly (readonly [Block['kind'], RegExp])[] = [
  ['list', ITEM],
  ['numbers', NUMBER],
  ['quote', QUOTE],
];

function addLine(blocks: Block[], line: string): void {
  const last = blocks.at(-1);
  const [, marks, title] = HEADING.exec(line) ?? [];
  if (marks !== undefined) {
    blocks.push({ kind: 'heading', lines: [title ?? ''], detail: String(marks.length) });
    return;
  }
  for (const [kind, pattern] of KINDS) {
    const shown = pattern.exec(line)?.[1];
    if (shown === undefined) continue;
    if (last?.kind === kind) last.lines.push(shown);
    else blocks.push({ kind, lines: [shown] });
    return;
  }
  // An empty line ends a block.
  if (line.trim() === '') blocks.push({ kind: 'text', lines: [] });
  else if (last?.kind === 'text') last.lines.push(line);
  else blocks.push({ kind: 'text', lines: [line] });
}

function elementOf({ kind, lines, detail = '' }: Block): HTMLElement {
  const items = (): HTMLElement[] => lines.map((line) => h('li', {}, ...inline(line)));
  if (kind === 'code') return codeBlock(lines.join('\n'), detail);
  if (kind === 'heading') return h('p', { class: 'heading' }, ...inline(lines[0] ?? ''));
  if (kind === 'list') return h('ul', {}, ...items());
  if (kind === 'numbers') return h('ol', {}, ...items());
  if (kind === 'quote') return h('blockquote', {}, ...inline(lines.join('\n')));
  return h('p', {}, ...inline(lines.join('\n')));
}

function codeBlock(text: string, language: string): HTMLElement {
  if (language === 'json' && prettyJson(text) !== undefined) return highlightedJson(text);
  return h('pre', { class: 'code', tabindex: 0 }, h('code', {}, text));
}

function inline(text: string): readonly Child[] {
  const children: Child[] = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, bold, italic] = match;
    children.push(text.slice(at, match.index));
    at = match.index + whole.length;
    if (code !== undefined) children.push(h('code', {}, code));
    else if (bold !== undefined) children.push(h('strong', {}, bold));
    else children.push(h('em', {}, italic));
  }
  return [...children, text.slice(at)];
}
