/**
 * Records `ask` in a real terminal, and draws its screens as an animated SVG: docs/images/ask.svg. A viewer who
 * wants no motion sees the last screen.
 *
 *   node scripts/run.mjs scripts/cast.ts
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import xterm from '@xterm/headless';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILE = join(ROOT, 'docs/images/ask.svg');
const SHOWN = 'rbees-workerd ask "Write a haiku about the sea"';
const [COLUMNS, ROWS] = [84, 9];
/** Most screens, and the seconds of each; the last one stays longer. */
const MOST_FRAMES = 9;
const SECONDS = { frame: 0.8, last: 5 };
/** Size of a character, and margins, in pixels. */
const [WIDTH, HEIGHT, MARGIN, BAR] = [8.43, 19, 14, 28];
const COLOURS = { back: '#1b1d23', bar: '#2a2d35', text: '#e6e6e6', cyan: '#5fd7d7', prompt: '#8fbf7f' } as const;

/** The end of a synchronized update. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: a control sequence
const END_OF_DRAWING = /(?<=\x1b\[\?2026l)/;

const PICTURE = /\p{Extended_Pictographic}/u;

/** Characters of one style, from a column on. */
interface Span {
  readonly column: number;
  readonly style: string;
  text: string;
}
type Frame = readonly (readonly Span[])[];

/** Runs the command, and returns its different screens in order. */
async function record(): Promise<readonly Frame[]> {
  const state = mkdtempSync(join(tmpdir(), 'cast-'));
  const command = `stty cols ${COLUMNS} rows ${ROWS}; printf '$ %s\\n' '${SHOWN}'; exec "$NODE" dist/cli.js ask "Write a haiku about the sea"`;
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    cwd: ROOT,
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE: process.execPath,
      TERM: 'xterm-256color',
      SHELL: '/bin/sh',
      XDG_STATE_HOME: state,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const terminal = new xterm.Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true });
  const frames = new Map<string, Frame>();
  // A drawing ends with the end of a synchronized update: no screen is half-finished.
  let rest = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    const drawings = (rest + String(chunk)).split(END_OF_DRAWING);
    rest = drawings.pop() ?? '';
    for (const drawing of drawings) await draw(terminal, drawing, frames);
  }
  await draw(terminal, rest, frames);
  await ended;
  rmSync(state, { recursive: true });
  return [...frames.values()];
}

async function draw(terminal: xterm.Terminal, bytes: string, frames: Map<string, Frame>): Promise<void> {
  await new Promise<void>((resolve) => terminal.write(bytes, resolve));
  const frame = Array.from({ length: ROWS }, (_, row) => spansOf(terminal, row));
  // Screens that differ in the spinner and the time only are one.
  const key = JSON.stringify(frame).replace(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]|\d+\.\d s"/g, '');
  frames.delete(key);
  frames.set(key, frame);
}

function spansOf(terminal: xterm.Terminal, row: number): readonly Span[] {
  const spans: Span[] = [];
  // xterm gives a picture one column, and most terminals give it two.
  let shift = 0;
  const line = terminal.buffer.active.getLine(terminal.buffer.active.baseY + row);
  for (let column = 0; column < COLUMNS; column += 1) {
    const cell = line?.getCell(column);
    const text = cell?.getChars() ?? '';
    if (!cell || text === '' || text === ' ') {
      const last = spans.at(-1);
      if (text === ' ' && last) last.text += ' ';
      continue;
    }
    const style = cell.isDim() ? 'd' : cell.isFgDefault() ? 't' : 'c';
    const last = spans.at(-1);
    // The font may draw a picture wider or narrower: the text after it has its own place.
    const follows = last?.style === style && !PICTURE.test(last.text);
    if (last && follows) last.text += text;
    else spans.push({ column: column + shift, style, text });
    if (PICTURE.test(text) && cell.getWidth() === 1) shift += 1;
  }
  return spans.map((span) => ({ ...span, text: span.text.trimEnd() }));
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function drawn(frame: Frame, index: number, count: number): string {
  const texts = frame.flatMap((spans, row) =>
    spans.map(({ column, style, text }) => {
      const [x, y] = [MARGIN + column * WIDTH, BAR + MARGIN + (row + 0.75) * HEIGHT];
      return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${style}">${escaped(text)}</text>`;
    }),
  );
  return `<g class="f${index === count - 1 ? ' last' : ''}" style="animation-name:f${index}">${texts.join('')}</g>`;
}

/** One animation for each screen: visible from its time to the next one. */
function keyframes(count: number): string {
  const total = SECONDS.frame * (count - 1) + SECONDS.last;
  const percent = (index: number): string => ((100 * SECONDS.frame * index) / total).toFixed(2);
  const rules = Array.from({ length: count }, (_, index) => {
    const from = index === 0 ? '' : `0%,${percent(index)}%{visibility:hidden}`;
    const until = index === count - 1 ? '100%{visibility:visible}' : `${percent(index + 1)}%,100%{visibility:hidden}`;
    return `@keyframes f${index}{${from}${(Number(percent(index)) + 0.01).toFixed(2)}%{visibility:visible}${until}}`;
  });
  return `.f{visibility:hidden;animation:${total}s step-end infinite}${rules.join('')}`;
}

function svg(frames: readonly Frame[]): string {
  const [width, height] = [Math.ceil(COLUMNS * WIDTH + 2 * MARGIN), Math.ceil(ROWS * HEIGHT + 2 * MARGIN + BAR)];
  const style = [
    `text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}`,
    `.t{fill:${COLOURS.text}}.d{fill:${COLOURS.text};opacity:.6}.c{fill:${COLOURS.cyan}}`,
    keyframes(frames.length),
    '@media (prefers-reduced-motion:reduce){.f{animation:none}.f.last{visibility:visible}}',
  ].join('');
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (fill, index) => `<circle cx="${18 + 18 * index}" cy="14" r="5" fill="${fill}"/>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="rbees-workerd ask writes a haiku, and narrates its work">
<style>${style}</style>
<rect width="100%" height="100%" rx="8" fill="${COLOURS.back}"/><path d="M0 8a8 8 0 0 1 8-8h${width - 16}a8 8 0 0 1 8 8v20H0z" fill="${COLOURS.bar}"/>${dots.join('')}
${frames.map((frame, index) => drawn(frame, index, frames.length)).join('\n')}
</svg>
`;
}

/** At most `most` frames, evenly chosen, with the first and the last one. */
function chosen(frames: readonly Frame[], most: number): readonly Frame[] {
  if (frames.length <= most) return frames;
  const indices = Array.from({ length: most }, (_, index) => Math.round((index * (frames.length - 1)) / (most - 1)));
  return frames.filter((_, index) => indices.includes(index));
}

const frames = chosen(await record(), MOST_FRAMES);
const text = svg(frames);
mkdirSync(join(ROOT, 'docs/images'), { recursive: true });
writeFileSync(FILE, text);
console.log(`docs/images/ask.svg (${frames.length} screens, ${Math.ceil(text.length / 1000)} kB)`);
