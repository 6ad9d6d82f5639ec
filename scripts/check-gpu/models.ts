/** The random models, each made once, in a process of its own beside the first parts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { modelName, say } from './check.ts';
import type { readCommandLine } from './command-line.ts';
import { type Made, makeModel } from './random-weights.ts';
import { FORMATS, type Format, SCALES, SHAPE_NAMES, type ShapeName } from './shapes.ts';

/** Makes models in processes of their own, each once. */
export class Models {
  readonly #folder: string;
  readonly #isRehearsal: boolean;
  readonly #made = new Map<string, Promise<Made>>();
  readonly #children = new Set<ChildProcess>();
  #isStopped = false;

  constructor(folder: string, isRehearsal: boolean) {
    this.#folder = folder;
    this.#isRehearsal = isRehearsal;
  }

  /** Ends the processes that still make models, and makes no more. */
  stop(): void {
    this.#isStopped = true;
    for (const child of this.#children) child.kill('SIGKILL');
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Resolves when the model exists. @throws Error with the end of the process's stderr */
  readonly make = (shape: ShapeName, format: Format): Promise<Made> => {
    const name = modelName(shape, format);
    const made = this.#made.get(name) ?? this.#start(shape, format);
    this.#made.set(name, made);
    return made;
  };

  async #start(shape: ShapeName, format: Format): Promise<Made> {
    if (this.#isStopped) throw new Error(`the model ${shape}, ${format} is not made any more`);
    const more = this.#isRehearsal ? ['--rehearse'] : [];
    const args = [process.argv[1] ?? '', '--make', `${shape},${format}`, '--folder', this.#folder, ...more];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.add(child);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    const [code] = (await once(child, 'close')) as [number | null];
    this.#children.delete(child);
    if (code !== 0) throw new Error(`the model ${shape}, ${format} was not made`);
    const made = JSON.parse(text) as Made;
    say(`made ${shape}, ${format}: ${Math.round(made.writeMs)} ms, converted in ${Math.round(made.convertMs)} ms`);
    return made;
  }
}

/** The process that makes one model. */
export function makeHere({ make = '', folder = '', rehearse }: ReturnType<typeof readCommandLine>): void {
  const [shape, format] = make.split(',');
  const [name, form] = [SHAPE_NAMES.find((one) => one === shape), FORMATS.find((one) => one === format)];
  if (!name || !form)
    throw new Error(
      `--make ${make} must be one of ${SHAPE_NAMES.join(', ')}, a comma and one of ${FORMATS.join(', ')}`,
    );
  const { shapes } = SCALES[rehearse ? 'tiny' : 'full'];
  const made = makeModel(folder, modelName(name, form), { shape: shapes[name], format: form });
  process.stdout.write(JSON.stringify(made));
}
