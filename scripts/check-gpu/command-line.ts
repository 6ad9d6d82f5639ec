/** The options and the help of the check on a card. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './root.ts';

/** The page with the tables of a card, and the file of a rehearsal, whose figures mean nothing. */
const [PAGE, REHEARSAL] = [join(ROOT, 'docs', 'devices.md'), join(ROOT, 'build', 'check-gpu-rehearsal.md')];

/** At most 24 lines of 80 columns. */
export const HELP = `npm run check:gpu -- [options]      checks and measures the engine on a GPU

  --minutes N         time for everything (9); parts that do not fit are skipped
  --device LIST       cuda-0,webgpu (default: those of the card); cpu
  --runtime-library F libonnxruntime with the CUDA provider beside it (WebGPU
                      uses that of the package if this one lacks it)
  --bandwidth GB/s    of the card's memory, if its name is unknown
  --out FILE          instead of the marked part of docs/devices.md
  --folder DIR        for random models, 9 GB (default: the temporary folder)
  --rehearse          tiny shapes; WebGPU in software if there is no GPU
  --no-peer           without PyTorch
Exit code 1: a result is wrong. A missed speed goal is only noted.

A machine without npm needs the tracked files and a pack, made here:
  npm run check:gpu -- --pack [--providers DIR [--architecture 90]]
writes build/check-gpu-pack/1, 2, …: this script, the engine, koffi, ONNX
Runtime, Node.js; each with the tracked files is below 64 MiB. DIR has one
version of libonnxruntime and the CUDA provider, of which only the code for
capability 9.0 is kept; CUDA is on the machine. Carry all folders; there:
  sh build/check-gpu-pack/1/run.sh --minutes 8 --out "$OUT/devices.md"
Without the provider, the check uses WebGPU on the card, by Vulkan.
`;

const OPTIONS = {
  minutes: { type: 'string', default: '9' },
  device: { type: 'string' },
  'runtime-library': { type: 'string' },
  bandwidth: { type: 'string' },
  out: { type: 'string' },
  folder: { type: 'string' },
  rehearse: { type: 'boolean', default: false },
  'no-peer': { type: 'boolean', default: false },
  pack: { type: 'boolean', default: false },
  providers: { type: 'string' },
  architecture: { type: 'string' },
  /** For the processes that make models: the name of the shape and of the format. */
  make: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** @throws Error for an unknown option, or a number that is none */
export function readCommandLine(args: readonly string[]) {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const numberOf = (name: 'minutes' | 'bandwidth' | 'architecture'): number | undefined => {
    const text = values[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!(value > 0)) throw new Error(`--${name} must be a number above 0, not ${text}`);
    return value;
  };
  return {
    ...values,
    out: values.out ?? (values.rehearse ? REHEARSAL : PAGE),
    minutes: numberOf('minutes') ?? 9,
    bandwidth: numberOf('bandwidth'),
    architecture: numberOf('architecture'),
  };
}
