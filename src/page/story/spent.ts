/** The end of a story: where the time went as one bar, and the facts of the answer. */

import { copyButton } from '../controls/copy-button.ts';
import { type Child, h } from '../dom.ts';
import { amount, counted, duration } from '../text/format.ts';
import type { Story } from './story.ts';

/** The parts of the duration; undefined until the worker has reported them. */
export function timeSection({ spent }: Story): HTMLElement | undefined {
  if (!spent || spent.duration === 0) return undefined;
  const { duration: total, queue, prefill, decode } = spent;
  const parts = [
    { phase: 'queued', label: 'waiting', ms: queue },
    { phase: 'reading', label: 'reading', ms: prefill },
    { phase: 'writing', label: 'writing', ms: decode },
    { phase: 'preparing', label: 'the rest', ms: Math.max(0, total - queue - prefill - decode) },
  ];
  const bar = h('div', { class: 'stack', 'aria-hidden': 'true' });
  for (const { phase, ms } of parts) {
    const piece = h('span', { class: `piece phase-${phase}` });
    piece.style.flexGrow = String(ms / total);
    bar.append(piece);
  }
  const rows = parts.map(({ phase, label, ms }) =>
    h(
      'li',
      {},
      h('span', { class: `swatch phase-${phase}`, 'aria-hidden': 'true' }),
      h('span', { class: 'label' }, label),
      h('span', { class: 'number' }, duration(ms)),
    ),
  );
  return h(
    'section',
    { class: 'spent' },
    h('h3', {}, 'Where the time went', h('span', { class: 'total' }, duration(total))),
    bar,
    h('ul', { class: 'parts' }, ...rows),
  );
}

/** The facts of an answer; undefined before it has any. */
export function factList(story: Story): HTMLElement | undefined {
  const { end, seed, correlationId } = story;
  if (seed === undefined && correlationId === undefined) return undefined;
  const complete = story.sentences.findLast(({ event }) => event === 'inference.complete');
  const speed = complete?.facts['tokens_per_sec'];
  const rows: readonly (readonly [string, readonly Child[]] | undefined)[] = [
    end && ['answer', [counted(end.tokens_out, 'token')]],
    typeof speed === 'number' ? ['speed', [`${amount(speed)} tokens/s`]] : undefined,
    end && ['first token', [`after ${duration(end.time_to_first_token_ms)}`]],
    end && [
      'prompt',
      [`${counted(end.tokens_in, 'token')}${end.cached_tokens > 0 ? `, ${end.cached_tokens} remembered` : ''}`],
    ],
    end && ['ended', [reasonOf(end)]],
    seed === undefined ? undefined : ['seed', [h('code', {}, String(seed)), copyButton('seed', () => String(seed))]],
    correlationId === undefined
      ? undefined
      : [
          'correlation id',
          [h('code', { class: 'id' }, correlationId), copyButton('correlation id', () => correlationId)],
        ],
  ];
  const list = h('dl', { class: 'facts' });
  for (const row of rows) if (row) list.append(h('div', {}, h('dt', {}, row[0]), h('dd', {}, ...row[1])));
  return list;
}

function reasonOf({ stop_reason: reason, stop_sequence_matched: matched }: NonNullable<Story['end']>): string {
  if (reason === 'eos') return 'the model was done';
  if (reason === 'max_tokens') return 'at the limit of tokens';
  return matched === undefined ? 'at a stop string' : `at the stop string ${JSON.stringify(matched)}`;
}
