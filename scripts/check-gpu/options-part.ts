/** Part: options of the execution providers, each measured against the default in the same run. */
import { type DeviceKind, kindOf } from '../../src/protocol/devices.ts';
import type { EngineOptions } from '../../src/protocol/loading.ts';
import { type Deadline, limited, requireTime, within } from './budget.ts';
import { type Check, messageOf, type Setup, say } from './check.ts';
import { megabytes, rate, rowsText } from './figures.ts';
import type { Made } from './random-weights.ts';
import type { Format, ShapeName } from './shapes.ts';
import { noteMode } from './simpler-modes.ts';
import { measureOnce } from './speed-part.ts';

/** A choice to measure. */
interface Choice {
  readonly format: Format;
  readonly options: NonNullable<EngineOptions['gpuOptions']>;
}

const FPA = 'ep.cuda.fpa_intb_gemm';
const DEFAULTS: readonly Choice[] = [
  { format: 'q4', options: {} },
  { format: 'q8', options: {} },
  { format: 'fp16', options: {} },
];

/** The choices by kind of device, the ones of most interest first. */
const CHOICES: Partial<Readonly<Record<DeviceKind, readonly Choice[]>>> = {
  cuda: [
    { format: 'q4', options: {} },
    { format: 'q4', options: { [FPA]: '1' } },
    { format: 'q8', options: {} },
    { format: 'q8', options: { [FPA]: '1' } },
    { format: 'q4', options: { arena_extend_strategy: 'kNextPowerOfTwo' } },
    { format: 'fp16', options: {} },
    { format: 'fp16', options: { use_tf32: '1' } },
  ],
  webgpu: [...DEFAULTS.slice(0, 1), { format: 'q4', options: { validationMode: 'disabled' } }, ...DEFAULTS.slice(1)],
};

const MOST_ROWS = 16;
const isMeasured = (rows: number): boolean => rows <= MOST_ROWS;

const choicesOf = (device: Setup['device']): readonly Choice[] => CHOICES[kindOf(device)] ?? DEFAULTS;

/** Formats that a device needs for this part. */
export const optionFormats = (device: Setup['device']): Format[] => [
  ...new Set(choicesOf(device).map(({ format }) => format)),
];

/** Measures the choices of a device with one shape, in one mode. */
export async function checkOptions(
  check: Check,
  { device, shape, mode }: Omit<Setup, 'format'>,
  time: Deadline,
  made: (shape: ShapeName, format: Format) => Promise<Made>,
): Promise<void> {
  const { page, scale } = check;
  const rows: string[][] = [];
  const counts = scale.rows.filter(isMeasured);
  let needed = scale.name === 'full' ? 12_000 : scale.estimateMs(0);
  for (const { format, options } of choicesOf(device)) {
    const setup = { device, shape, format, mode };
    const shown = Object.entries(options).map(([key, value]) => `\`${key}=${value}\``);
    const name = shown.join(', ') || 'as the engine sets them';
    const began = performance.now();
    try {
      requireTime(time, needed);
      const piece = limited(time, 3 * needed);
      await within(piece, made(shape, format), `the model ${shape}, ${format} is not ready`);
      const small = { ...check, scale: { ...scale, rows: counts } };
      const { speed, facts, memory } = await measureOnce(small, setup, piece, {
        gpuOptions: options,
      });
      const cells = counts.map((count) => {
        const value = speed.decode.get(count);
        return typeof value === 'string' ? value : rate(value);
      });
      rows.push([
        format,
        name + noteMode(check, { device, mode, model: `${shape}, ${format}, ${name}` }, facts),
        speed.problem ?? rate(speed.prefill),
        ...cells,
        megabytes(memory.used ?? facts.deviceBytes),
      ]);
      needed = performance.now() - began;
    } catch (error) {
      rows.push([format, name, messageOf(error), ...counts.map(() => '–'), '–']);
    }
    say(`${device}, options: ${rows.at(-1)?.join(' ')}`);
    page.put({
      title: `Options on ${device}`,
      text: [
        `The shape ${shape} in mode ${mode}, tokens/s. Choose an option only if its gain exceeds the spread of the rounds.`,
      ],
      head: ['weights', 'options', 'prefill', ...counts.map(rowsText), 'MB on the card'],
      rows,
    });
  }
}
