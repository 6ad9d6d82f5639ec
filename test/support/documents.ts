/** The shell commands of the documents, as a reader would run them. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Not for users of a worker: records, and the making of test models, which needs Python packages. */
const OTHERS = /^(?:CHANGELOG\.md$|docs\/decisions\/|test\/|tools\/)/;

export interface ShellBlock {
  readonly file: string;
  /** Line of the fence, from 1. */
  readonly line: number;
  readonly commands: readonly string[];
}

/** All blocks of the documents that are marked as `sh`, in order. */
export function shellBlocks(): readonly ShellBlock[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const files = listed.split('\n').filter((name) => name !== '' && !OTHERS.test(name));
  return files.sort().flatMap((file) => blocksOf(file, readFileSync(join(ROOT, file), 'utf8')));
}

/** The `sh` blocks of a text in Markdown. */
export function blocksOf(file: string, text: string): readonly ShellBlock[] {
  const lines = text.split('\n');
  const blocks: ShellBlock[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    if (!/^ *```(?:sh|bash|shell|console)$/.test(lines[at] ?? '')) continue;
    const end = lines.findIndex((line, index) => index > at && /^ *```$/.test(line));
    if (end < 0) throw new Error(`${file}:${at + 1}: the block has no end.`);
    blocks.push({ file, line: at + 1, commands: commandsOf(lines.slice(at + 1, end)) });
    at = end;
  }
  return blocks;
}

/** Joins the lines of each command: one that ends with a backslash, or inside of quotes, goes on. */
export function commandsOf(lines: readonly string[]): readonly string[] {
  const commands: string[] = [];
  let open = '';
  for (const line of lines) {
    const text = open === '' ? line : `${open}\n${line}`;
    if (isOpen(text)) {
      open = text;
      continue;
    }
    open = '';
    if (text.trim() !== '' && !text.trim().startsWith('#')) commands.push(text.trim());
  }
  if (open !== '') throw new Error(`The command has no end: ${open}`);
  return commands;
}

/** True if a command needs another line. */
function isOpen(text: string): boolean {
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? '';
    if (quote === "'") quote = char === "'" ? '' : quote;
    else if (char === '\\') at += 1;
    else if (quote === '"') quote = char === '"' ? '' : quote;
    else if (char === "'" || char === '"') quote = char;
    else if (char === '#' && /(?:^|\s)$/.test(text.slice(0, at))) at = indexOr(text, '\n', at) - 1;
  }
  return quote !== '' || /\\$/.test(text);
}

/** Index of the next `part`, or the length of the text. */
function indexOr(text: string, part: string, from: number): number {
  const found = text.indexOf(part, from);
  return found < 0 ? text.length : found;
}
