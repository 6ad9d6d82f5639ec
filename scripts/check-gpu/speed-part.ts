/** Part: the speed and the memory of the random models. */
import type { EngineOptions } from '../../src/protocol/loading.ts';
import { type Deadline, limited, requireTime, within } from './budget.ts';
import {
  type Check,
  freeOnCard,
  hostMemoryOf,
  isSound,
  messageOf,
  nameOf,
  optionsOf,
  type Setup,
  say,
} from './check.ts';
import { MODES, type Mode } from './correctness.ts';
import { EngineProcess } from './engine-process.ts';
import { decodeRate, median, megabytes, rate, rowsText } from './figures.ts';
import type { Made } from './random-weights.ts';
import { type Format, readShare, type Scale, type ShapeName, weightsOf } from './shapes.ts';
import { isSimpler, noteMode } from './simpler-modes.ts';

/** Prompts are fresh, so that no cache helps. */
function freshPrompts(): (length: number) => number[] {
  let salt = 0;
  return (length) => {
    salt += 1;
    return Array.from({ length }, (_, index) => (index === 0 ? salt % 256 : (index * 7919 + salt * 104_729) % 256));
  };
}

/** The measured speed of an engine. */
export interface Speed {
  /** Tokens per second by number of rows; absent for rows that did not run, with the reason. */
  readonly decode: ReadonlyMap<number, number | string>;
  readonly prefill: number | undefined;
  /** Why the rest was not measured; absent if all was. */
  readonly problem?: string;
  /** True if the engine has failed. */
  readonly isWrong?: true;
}

/**
 * Measures tokens/s by number of rows, and of a prompt. Each figure is the median of the rounds, after one
 * round that is not counted. Rows that the engine has no slots for get a reason in place of a figure. Never
 * throws: an engine that ends leaves the figures before.
 */
export async function measureSpeed(
  engine: EngineProcess,
  sizes: Pick<Scale, 'prompt' | 'decoded' | 'prefill' | 'rounds'>,
  rows: readonly number[],
  time: Deadline,
): Promise<Speed> {
  const fresh = freshPrompts();
  const decode = new Map<number, number | string>();
  let prefill: number | undefined;
  try {
    prefill = await prefillRate(engine, sizes, fresh);
    // A round takes at most so much longer as it has more rows.
    let perRowMs = 0;
    for (const count of rows) {
      const fits = time.fits(perRowMs * count * (sizes.rounds + 1));
      if (count > engine.facts.slots) decode.set(count, `${engine.facts.slots} slots`);
      else if (!fits) decode.set(count, 'skipped: no time');
      else {
        const began = performance.now();
        const measured = await rowsRate(engine, sizes, fresh, count);
        decode.set(count, Number.isFinite(measured) ? measured : 'no step of all rows');
        perRowMs = (performance.now() - began) / count / (sizes.rounds + 1);
      }
    }
  } catch (error) {
    return { decode, prefill, problem: messageOf(error), ...(!isSound(error) && { isWrong: true }) };
  }
  return { decode, prefill };
}

type Sizes = Parameters<typeof measureSpeed>[1];
type Fresh = ReturnType<typeof freshPrompts>;

async function prefillRate(engine: EngineProcess, { prefill, rounds }: Sizes, fresh: Fresh): Promise<number> {
  const rates: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const sent = performance.now();
    const { at } = await engine.run({ prompt: fresh(prefill), maxTokens: 1 });
    if (round > 0) rates.push((prefill * 1000) / ((at[0] ?? Number.NaN) - sent));
  }
  return median(rates);
}

async function rowsRate(engine: EngineProcess, sizes: Sizes, fresh: Fresh, rows: number): Promise<number> {
  const rates: number[] = [];
  for (let round = 0; round <= sizes.rounds; round += 1) {
    // Where prompts are computed one by one, the first row decodes a step for each row that follows.
    const maxTokens = sizes.decoded + rows;
    const tasks = Array.from({ length: rows }, () => ({ prompt: fresh(sizes.prompt), maxTokens }));
    const outputs = await Promise.all(tasks.map((task) => engine.run(task)));
    if (round > 0) rates.push(decodeRate(outputs));
  }
  return median(rates);
}

/** Models that a second device measures. */
const SECOND_MODELS = 3;
/** The order of the models: the figures of the goals first. */
const ORDER: readonly (readonly [ShapeName, Format])[] = [
  ['135 M', 'fp16'],
  ['8 B', 'q4'],
  ['135 M', 'q4'],
  ['1 B', 'q4'],
  ['1 B', 'fp16'],
  ['8 B', 'fp16'],
];

/** The models that a device measures. A second device of the same card measures fewer. */
export const measuredModels = ({ models }: Pick<Scale, 'models'>, isFirst: boolean): typeof ORDER =>
  ORDER.slice(0, Math.min(models ?? ORDER.length, isFirst ? ORDER.length : SECOND_MODELS));

/**
 * The setups that a device measures, in order: the first model in all modes, for the goals; then the others
 * captured and off; then eager, which is of interest only beside these two.
 */
export function setupsOf(device: Setup['device'], models: typeof ORDER): Setup[] {
  const inModes = (some: typeof ORDER, modes: readonly Mode[]): Setup[] =>
    some.flatMap(([shape, format]) => modes.map((mode) => ({ device, shape, format, mode })));
  const [first, others] = [models.slice(0, 1), models.slice(1)];
  return [...inModes(first, MODES), ...inModes(others, ['captured', 'off']), ...inModes(others, ['eager'])];
}

/** Opens a model, measures its speed, and closes it. @throws Error with the engine's reason */
export async function measureOnce(check: Check, setup: Setup, time: Deadline, more: Partial<EngineOptions> = {}) {
  const { env, scale } = check;
  const before = await freeOnCard(check);
  const spawned = { env, timeoutMs: Math.max(1, time.leftMs()) };
  const engine = await EngineProcess.open(optionsOf(check, setup, more), spawned);
  try {
    const loaded = await freeOnCard(check);
    const host = hostMemoryOf(engine.pid);
    const speed = await measureSpeed(engine, scale, scale.rows, time);
    const used = await freeOnCard(check);
    const onCard = (free: number | undefined): number | undefined =>
      before === undefined || free === undefined ? undefined : before - free;
    const memory = { loaded: onCard(loaded), used: onCard(used), host, hostUsed: hostMemoryOf(engine.pid) };
    const { facts, plan, openMs } = engine;
    await engine.close();
    return { speed, facts, plan, openMs, memory };
  } catch (error) {
    await engine.kill();
    throw error;
  }
}

export type Measured = Awaited<ReturnType<typeof measureOnce>>;

/** Measures the models of a device in all modes. */
export async function checkSpeed(
  check: Check,
  setups: readonly Setup[],
  time: Deadline,
  made: (shape: ShapeName, format: Format) => Promise<Made>,
): Promise<void> {
  const { scale, results } = check;
  const device = setups[0]?.device ?? '';
  const rows: string[][] = [];
  const memory: string[][] = [];
  const spent = new Map<string, number>();
  for (const [index, setup] of setups.entries()) {
    const { shape, format, mode } = setup;
    const model = `${shape}, ${format}`;
    const needed = spent.get(model) ?? scale.estimateMs(weightsOf(scale.shapes[shape]));
    const began = performance.now();
    try {
      requireTime(time, needed);
      // No setup takes the time of all that follow.
      const fair = (2 * time.leftMs()) / (setups.length - index);
      const piece = limited(time, Math.max(fair, 2 * needed));
      await within(piece, made(shape, format), `the model ${model} is not ready`);
      const measured = await measureOnce(check, setup, piece);
      const { speed, openMs, facts } = measured;
      const note = noteMode(check, { device: setup.device, mode, model }, facts);
      const readBytes = (measured.plan?.weights ?? 0) * readShare(scale.shapes[shape]);
      spent.set(model, performance.now() - began);
      if (!isSimpler(facts)) setFigures(check, setup, { speed, readBytes });
      if (speed.isWrong) results.wrong.push(`${nameOf(setup)}: ${speed.problem}`);
      const one = speed.decode.get(1);
      const share = check.bandwidth && typeof one === 'number' ? (one * readBytes) / check.bandwidth : undefined;
      const cells = scale.rows.map((count) => cellOf(speed.decode.get(count)));
      const percent = share === undefined ? '–' : `${(share * 100).toFixed(1)} %`;
      const open = (openMs / 1000).toFixed(1);
      rows.push([model, mode + note, rate(speed.prefill), ...cells, percent, speed.problem ?? open]);
      memory.push(memoryRow(setup, measured));
    } catch (error) {
      if (!isSound(error)) results.wrong.push(`${nameOf(setup)}: ${messageOf(error)}`);
      rows.push([model, mode, messageOf(error), ...scale.rows.map(() => '–'), '–', '–']);
    }
    say(`${nameOf(setup)}: ${rows.at(-1)?.slice(2).join(' ')}`);
    putTables(check, device, rows, memory);
  }
}

/** Keeps the figures for the goals. */
function setFigures(
  { results }: Check,
  setup: Setup,
  { speed, readBytes }: { readonly speed: Speed; readonly readBytes: number },
): void {
  results.setBytes(setup, readBytes);
  for (const [count, value] of speed.decode) if (typeof value === 'number') results.setRate(setup, count, value);
}

const cellOf = (value: number | string | undefined): string => (typeof value === 'string' ? value : rate(value));

function memoryRow({ shape, format, mode }: Setup, { facts, plan, memory }: Measured): string[] {
  const { deviceBytes } = facts;
  const { loaded, used, host, hostUsed } = memory;
  return [
    ...[`${shape}, ${format}`, mode, megabytes(plan?.total), megabytes(deviceBytes), megabytes(loaded)],
    ...[megabytes(used), `${megabytes(host)} → ${megabytes(hostUsed)}`],
  ];
}

function putTables({ page, scale }: Check, device: string, rows: string[][], memory: string[][]): void {
  page.put({
    title: `Speed on ${device}`,
    text: [
      `Random weights${scale.name === 'full' ? '' : ' of tiny shapes: a rehearsal, whose figures mean nothing'}. Tokens/s of all rows together; context ${scale.prompt} to ${scale.prompt + scale.decoded} and the number of rows; prefill of ${scale.prefill} tokens; median of ${scale.rounds} rounds. Bandwidth: bytes of weights that a token reads times tokens/s of 1 row, as a part of the bandwidth of the card.`,
    ],
    head: ['weights', 'mode', 'prefill', ...scale.rows.map(rowsText), 'bandwidth', 'open, s'],
    rows,
  });
  if (memory.length === 0) return;
  page.put({
    title: `Memory on ${device}`,
    text: [
      'MB. Plan: of the engine, before the load. Measured: by the engine after the load. Card: used by the process by NVML, after the load and after the rows above. Host: proportional memory of the process, at the same moments.',
    ],
    head: ['weights', 'mode', 'plan', 'measured', 'card, loaded', 'card, used', 'host'],
    rows: memory,
  });
}
