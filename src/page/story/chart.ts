/**
 * The timeline of a request: tokens per second, its phases below, and a dot for every sentence, on one axis.
 */
import { fill, h, s } from '../dom.ts';
import { amount, duration } from '../text/format.ts';
import { causeOf } from './causes.ts';
import type { Placed } from './clock.ts';
import { speeds } from './speed.ts';
import { REPEATED, type Sentence } from './story.ts';

const HEIGHT = 170;
const MARK = { at: 9, radius: 7.5 };
const MARKS_HEIGHT = 17;
const PLOT = { top: 36, bottom: 106 };
const LANE = { top: 116, height: 12 };
const DOTS_AT = 138;
const TICKS_AT = 164;
const [LEFT, RIGHT] = [8, 14];
/** An axis of a request that runs is at least this long, in milliseconds. */
const LEAST_MS = 40;

export interface Drawn {
  readonly placed: Placed;
  readonly sentences: readonly Sentence[];
  readonly isLive: boolean;
}

export class Chart {
  readonly element = h('figure', { class: 'chart' });
  readonly #svg = s('svg', { role: 'img', height: HEIGHT });
  #dots: SVGElement[] = [];
  #last: Drawn | undefined;

  constructor() {
    this.element.append(this.#svg);
    new ResizeObserver(() => this.#last && this.draw(this.#last)).observe(this.element);
  }

  draw(drawn: Drawn): void {
    this.#last = drawn;
    const { placed, sentences, isLive } = drawn;
    const width = Math.max(240, this.element.clientWidth);
    const domain = isLive ? Math.max(LEAST_MS, placed.total * 1.06) : placed.total;
    const x = (ms: number): number => LEFT + (Math.min(ms, domain) / domain) * (width - LEFT - RIGHT);
    // Without causes the row of their circles is cut off.
    const top = sentences.some((sentence) => causeOf(sentence) !== undefined) ? 0 : MARKS_HEIGHT;
    this.#svg.setAttribute('viewBox', `0 ${top} ${width} ${HEIGHT - top}`);
    this.#svg.setAttribute('height', String(HEIGHT - top));
    this.#svg.setAttribute('width', String(width));
    this.#dots = placed.times.map((at, index) =>
      s('circle', { class: dotClass(sentences[index]), cx: x(at), cy: DOTS_AT, r: 3 }),
    );
    const plot = plotOf(placed, x, width);
    this.#svg.setAttribute('aria-label', descriptionOf(placed, plot.most));
    fill(
      this.#svg,
      axis(domain, x),
      ...plot.elements,
      ...lane(placed, x),
      s('line', { class: 'thread', x1: LEFT, x2: width - RIGHT, y1: DOTS_AT, y2: DOTS_AT }),
      ...this.#dots,
      ...marks(drawn, x, width),
    );
  }

  /** Shows the dot of a sentence, and hides the one before. */
  highlight(index: number | undefined): void {
    for (const [at, dot] of this.#dots.entries()) dot.classList.toggle('on', at === index);
  }
}

/** Reports of progress are many: their dots are small. */
function dotClass(sentence: Sentence | undefined): string {
  const isSmall = sentence !== undefined && REPEATED.has(sentence.event);
  return `dot level-${sentence?.level.toLowerCase()}${isSmall ? ' small' : ''}`;
}

function axis(domain: number, x: (ms: number) => number): SVGElement {
  const step = niceStep(domain / 4);
  const ticks = Array.from({ length: Math.floor(domain / step) + 1 }, (_, index) => index * step);
  return s(
    'g',
    { class: 'axis' },
    ...ticks.map((ms) => s('line', { x1: x(ms), x2: x(ms), y1: PLOT.top, y2: DOTS_AT + 8 })),
    ...ticks.map((ms, index) =>
      s('text', { x: x(ms), y: TICKS_AT, 'text-anchor': anchorOf(index, ms / domain) }, tickText(ms, domain)),
    ),
  );
}

/** The text of a tick stays within the drawing. */
const anchorOf = (index: number, share: number): string => (index === 0 ? 'start' : share > 0.93 ? 'end' : 'middle');

const tickText = (ms: number, domain: number): string =>
  domain >= 2000 ? `${Number((ms / 1000).toFixed(1))} s` : ms === 0 ? '0' : duration(ms);

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? least;
}

interface Plot {
  readonly elements: readonly SVGElement[];
  /** The highest speed. */
  readonly most: number;
}

function plotOf({ curve }: Placed, x: (ms: number) => number, width: number): Plot {
  const points = speeds(curve);
  const base = s('line', { class: 'base', x1: LEFT, x2: width - RIGHT, y1: PLOT.bottom, y2: PLOT.bottom });
  const most = Math.max(0, ...points.map(({ value }) => value));
  if (most === 0) return { elements: [base], most };
  const y = (value: number): number => PLOT.bottom - (value / (most * 1.08)) * (PLOT.bottom - PLOT.top);
  const line = points.map(({ at, value }) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('L');
  const [first = 0, last = 0] = [points[0]?.at, points.at(-1)?.at];
  const top = points.reduce((best, point) => (point.value > best.value ? point : best));
  const anchor = x(top.at) > width * 0.7 ? 'end' : x(top.at) < width * 0.2 ? 'start' : 'middle';
  const label = s('text', { class: 'speed-label', x: x(top.at), y: y(top.value) - 6, 'text-anchor': anchor });
  label.append(`${amount(most)} tokens/s`);
  return {
    most,
    elements: [
      s(
        'g',
        { class: 'plot' },
        s('path', { class: 'area', d: `M${x(first)} ${PLOT.bottom}L${line}L${x(last)} ${PLOT.bottom}Z` }),
        s('path', { class: 'line', d: `M${line}` }),
      ),
      base,
      label,
    ],
  };
}

function lane({ stretches }: Placed, x: (ms: number) => number): readonly SVGElement[] {
  return stretches.map(({ phase, from, to }) =>
    s(
      'rect',
      {
        class: `phase phase-${phase}`,
        x: x(from),
        y: LANE.top,
        // A phase of no visible length stays visible.
        width: Math.max(1.5, x(to) - x(from) - 1),
        height: LANE.height,
        rx: 3,
      },
      s('title', {}, `${phase}: ${duration(to - from)}`),
    ),
  );
}

/** A circle and a line for each cause. A circle that would cover the one before moves to the right. */
function marks({ placed, sentences }: Drawn, x: (ms: number) => number, width: number): readonly SVGElement[] {
  let free = 0;
  return sentences.flatMap((sentence, index) => {
    const cause = causeOf(sentence);
    if (!cause) return [];
    const at = x(placed.times[index] ?? 0);
    const center = Math.min(width - MARK.radius - 1, Math.max(at, free, MARK.radius + 1));
    free = center + 2 * MARK.radius + 1;
    return [
      s(
        'g',
        { class: `cause ${cause.slower ? 'slower' : 'faster'}` },
        s('path', { d: `M${center} ${MARK.at}L${at} ${PLOT.top - 12}V${LANE.top + LANE.height}` }),
        s('circle', { cx: center, cy: MARK.at, r: MARK.radius }),
        s('text', { x: center, y: MARK.at + 4, 'text-anchor': 'middle' }, cause.glyph),
        s('title', {}, `${cause.label}: ${sentence.human}`),
      ),
    ];
  });
}

function descriptionOf({ total, stretches }: Placed, most: number): string {
  const parts = stretches.map(({ phase, from, to }) => `${phase} ${duration(to - from)}`);
  const speed = most > 0 ? `, at most ${amount(most)} tokens per second` : '';
  return `Timeline over ${duration(total)}: ${parts.join(', ')}${speed}.`;
}
