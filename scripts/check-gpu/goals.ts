/** Part: the goals, as reached or missed. A missed goal is a note: the exit code does not depend on it. Pure. */
import { type DeviceName, deviceName, kindOf } from '../../src/protocol/devices.ts';
import type { Check, Setup } from './check.ts';
import { rate, rowsText } from './figures.ts';
import type { Section } from './page.ts';

interface Goal {
  readonly what: string;
  readonly least: number;
  readonly unit: string;
  /** Undefined if one of its figures was not measured. */
  readonly value: number | undefined;
}

/** The goals of the devices of a check. */
export function goalsOf({ results, bandwidth }: Pick<Check, 'results' | 'bandwidth'>, devices: readonly DeviceName[]) {
  const of = (kind: 'cuda' | 'webgpu'): DeviceName =>
    devices.find((device) => kindOf(device) === kind) ?? deviceName(kind);
  const [cuda, webgpu] = [of('cuda'), of('webgpu')];
  const small = { device: cuda, shape: '135 M', format: 'fp16', mode: 'captured' } as const satisfies Setup;
  const large = { device: cuda, shape: '8 B', format: 'q4', mode: 'captured' } as const satisfies Setup;
  const rateOf = (setup: Setup, rows: number): number | undefined => results.rateOf(setup, rows);
  const ratio = (above: number | undefined, below: number | undefined): number | undefined =>
    above === undefined || below === undefined ? undefined : above / below;
  const [bytes, one] = [results.bytesOf(large), rateOf(large, 1)];
  const read = bytes === undefined || one === undefined ? undefined : bytes * one;
  const goals: Goal[] = [1, 16].map((rows) => ({
    what: `captured against eager, 135 M, fp16, ${rowsText(rows)}, CUDA`,
    ...{ least: 3, unit: '×' },
    value: ratio(rateOf(small, rows), rateOf({ ...small, mode: 'eager' }, rows)),
  }));
  goals.push(
    { what: '135 M, fp16, 1 row, CUDA', least: 900, unit: ' tokens/s', value: rateOf(small, 1) },
    { what: '135 M, fp16, 16 rows, CUDA', least: 9000, unit: ' tokens/s', value: rateOf(small, 16) },
    {
      what: '8 B, q4, 1 row, CUDA, of the bandwidth of the card',
      ...{ least: 50, unit: ' %' },
      value: ratio(read === undefined ? undefined : 100 * read, bandwidth),
    },
    {
      what: 'WebGPU, 135 M, fp16, captured, 16 rows against 1 row',
      ...{ least: 6, unit: '×' },
      value: ratio(rateOf({ ...small, device: webgpu }, 16), rateOf({ ...small, device: webgpu }, 1)),
    },
  );
  return goals;
}

export function goalsSection(goals: readonly Goal[]): Section {
  return {
    title: 'Goals',
    head: ['goal', 'at least', 'measured', ''],
    rows: goals.map(({ what, least, unit, value }) => [
      what,
      `${least}${unit}`,
      value === undefined ? 'not measured' : `${rate(value)}${unit}`,
      value === undefined ? '–' : value >= least ? 'reached' : 'missed',
    ]),
  };
}
