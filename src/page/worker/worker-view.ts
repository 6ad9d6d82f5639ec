/** The state of the worker in the header: one line, and all figures when it is opened. */
import type { Health } from '../../contract/answers.ts';
import { fill, h, setText } from '../dom.ts';
import { amount, bytes, duration } from '../text/format.ts';
import type { WorkerView } from './health-poll.ts';

/** Cells of the honeycomb; a worker with more slots shows numbers only. */
const MOST_CELLS = 16;

export class WorkerBar {
  readonly element: HTMLElement;
  readonly #name = h('span', { class: 'model' }, 'connecting…');
  readonly #device = h('span', { class: 'device' });
  readonly #cells = h('span', { class: 'cells', 'aria-hidden': 'true' });
  readonly #status = h('span', { class: 'visually-hidden' });
  readonly #facts = h('dl', { class: 'facts' });
  readonly #details: HTMLDetailsElement;

  constructor() {
    const summary = h(
      'summary',
      {},
      h('span', { class: 'lamp', 'aria-hidden': 'true' }),
      this.#status,
      this.#name,
      this.#device,
      this.#cells,
    );
    this.#details = h('details', { class: 'worker popover' }, summary, h('div', { class: 'sheet' }, this.#facts));
    this.element = this.#details;
  }

  draw(view: WorkerView): void {
    const health = 'health' in view ? view.health : undefined;
    const status = view.state === 'known' ? (health?.status ?? '') : view.state;
    this.#details.dataset['status'] = status;
    setText(this.#status, `Worker: ${status}. `);
    setText(this.#name, nameOf(view, health));
    setText(this.#device, health?.device ?? '');
    this.#drawCells(health);
    if (health)
      fill(this.#facts, ...factsOf(health).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
  }

  #drawCells(health: Health | undefined): void {
    const { total = 0, busy = 0 } = health?.slots ?? {};
    const waiting = health?.queue.length ?? 0;
    const key = `${total}/${busy}/${waiting}`;
    if (this.#cells.dataset['key'] === key) return;
    this.#cells.dataset['key'] = key;
    const cells = Array.from({ length: total > MOST_CELLS ? 0 : total }, (_, index) =>
      h('i', { class: index < busy ? 'cell busy' : 'cell' }),
    );
    fill(
      this.#cells,
      ...cells,
      total > MOST_CELLS && `${busy}/${total}`,
      waiting > 0 && h('span', { class: 'waiting' }, `+${waiting}`),
    );
  }
}

function nameOf({ state }: WorkerView, health: Health | undefined): string {
  if (state === 'offline') return 'offline';
  if (state === 'locked') return 'locked';
  if (!health) return 'connecting…';
  return health.model === '' ? health.status : health.model;
}

function factsOf(health: Health): readonly (readonly [string, string])[] {
  const { slots, queue, expected_wait_ms: wait, memory_bytes: memory, vram_bytes: vram } = health;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['status', health.status],
    ['model', health.model],
    ['device', health.device],
    ['weights', health.quant_kind],
    ['slots', `${slots.busy} of ${slots.total} busy`],
    ['queue', `${queue.length} of ${queue.limit}`],
    ['expected wait', wait === undefined ? undefined : wait === 0 ? 'none' : duration(wait)],
    ['memory', memory === undefined ? undefined : bytes(memory)],
    ['device memory', vram > 0 ? bytes(vram) : undefined],
    ['context', `${amount(health.context_length)} tokens`],
    ['running for', duration(health.uptime_seconds * 1000)],
    ['version', health.version],
    ['worker', health.worker_id],
  ];
  return rows.filter((row): row is readonly [string, string] => row[1] !== undefined && row[1] !== '');
}
