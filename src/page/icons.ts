/** The drawings of the page: icons of buttons, and the bee. */
import { s } from './dom.ts';

/** Paths in a square of 20. */
const PATHS = {
  send: 'M10 16V4M5 9l5-5 5 5',
  stop: 'M6 6h8v8H6z',
  edit: 'M4 16l.8-3.4L13 4.4a1.4 1.4 0 0 1 2 0l.6.6a1.4 1.4 0 0 1 0 2L7.4 15.2 4 16z',
  again: 'M15.5 8A6 6 0 1 0 16 11M16 4v4h-4',
  copy: 'M7 7h8v9H7zM5 13V4h8',
  check: 'M4.5 10.5l3.5 3.5 7.5-8',
  previous: 'M12 5l-5 5 5 5',
  next: 'M8 5l5 5-5 5',
  sliders: 'M4 6h7M15 6h1M4 14h1M9 14h7M13 4v4M7 12v4',
  more: 'M4.5 10h.01M10 10h.01M15.5 10h.01',
  plus: 'M10 4v12M4 10h12',
  close: 'M5 5l10 10M15 5L5 15',
  story: 'M3 14l4-5 3.5 3L17 5M3 17.5h14',
} as const;

export type IconName = keyof typeof PATHS;

export function icon(name: IconName): SVGElement {
  return s('svg', { class: 'icon', viewBox: '0 0 20 20', 'aria-hidden': 'true' }, s('path', { d: PATHS[name] }));
}

/** The bee. A class of an outer element moves its wings. */
export function bee(): SVGElement {
  return s(
    'svg',
    { class: 'bee', viewBox: '0 0 48 40', 'aria-hidden': 'true' },
    s('g', { class: 'wings' }, s('ellipse', { cx: 21, cy: 10, rx: 7, ry: 10, transform: 'rotate(-18 21 10)' })),
    s('g', { class: 'wings late' }, s('ellipse', { cx: 30, cy: 11, rx: 6, ry: 8.5, transform: 'rotate(24 30 11)' })),
    s('path', { class: 'sting', d: 'M8 25l-5 1 5 2z' }),
    s('ellipse', { class: 'body', cx: 24, cy: 26, rx: 17, ry: 11.5 }),
    s('path', { class: 'stripe', d: 'M16.5 16.4c-2.4 6-2.4 13 0 19.2M25 14.6c-2.6 7-2.6 15.6 0 22.8' }),
    s('circle', { class: 'eye', cx: 34.5, cy: 23.5, r: 1.9 }),
    s('path', { class: 'smile', d: 'M33 29c1.4 1 3 .9 4.2-.2' }),
    s('path', { class: 'feeler', d: 'M35 15.8c1-3 3-4.4 5.4-4.8M38.4 18c1.6-2 3.6-2.8 5.6-2.6' }),
  );
}
