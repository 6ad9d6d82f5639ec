/** Part: the same shapes by PyTorch and transformers, if the machine has them. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Deadline } from './budget.ts';
import { type Check, say } from './check.ts';
import { rate, rowsText } from './figures.ts';
import { ROOT } from './root.ts';
import { configOf, SHAPE_NAMES } from './shapes.ts';

const SCRIPT = join(ROOT, 'scripts', 'check-gpu', 'peer.py');
/** Time to import the packages. A part with less does not start. */
const LEAST_MS = 20_000;

/** A line of peer.py. */
interface Line {
  readonly versions?: string;
  readonly shape?: string;
  readonly mode?: string;
  readonly rows?: number;
  readonly rate?: number;
  readonly prefill?: number;
  readonly problem?: string;
}

/** The interpreter of the machine; undefined if there is none. */
export const pythonOf = (): string | undefined =>
  ['python3', 'python'].find((name) => spawnSync(name, ['--version']).status === 0);

/** Versions of PyTorch and transformers, or why they are not used. Takes seconds. */
export function peerVersions(python = pythonOf()): string {
  if (python === undefined) return 'not installed: no Python';
  const code =
    'import importlib.metadata as m; print("PyTorch", m.version("torch"), "transformers", m.version("transformers"))';
  const { status, stdout } = spawnSync(python, ['-c', code], { encoding: 'utf8', timeout: LEAST_MS });
  return status === 0 ? stdout.trim() : 'not installed';
}

/** Measures the shapes by PyTorch in half floats. The process is ended at the deadline. */
export async function checkPeer(check: Check, device: 'cuda' | 'cpu', time: Deadline): Promise<void> {
  const { page, scale } = check;
  const python = pythonOf();
  const cells = new Map<string, Map<string, string>>();
  const notes: string[] = [];
  const put = (): void =>
    page.put({
      title: 'The same shapes by PyTorch',
      text: [
        `Tokens/s of transformers in half floats with random weights, ids drawn greedily on the device. Compiled: torch.compile with CUDA graphs and a static cache. ${notes.join('. ')}`,
      ],
      head: ['weights', 'mode', 'prefill', ...scale.rows.map(rowsText)],
      rows: [...cells].map(([name, values]) => [
        ...(name.split('|') as [string, string]),
        values.get('problem') ?? values.get('prefill') ?? '–',
        ...scale.rows.map((count) => values.get(String(count)) ?? '–'),
      ]),
    });
  const take = ({ versions, shape, mode, rows, rate: value, prefill, problem }: Line): void => {
    if (versions !== undefined) notes.push(versions);
    if (shape === undefined) {
      if (problem !== undefined) notes.push(problem);
      return;
    }
    const name = `${shape}, fp16|${mode}`;
    const values = cells.get(name) ?? new Map<string, string>();
    cells.set(name, values);
    if (problem !== undefined) values.set('problem', problem);
    if (prefill !== undefined) values.set('prefill', rate(prefill));
    if (rows !== undefined) values.set(String(rows), rate(value));
    say(`PyTorch: ${name} ${JSON.stringify([...values])}`);
    put();
  };
  if (python === undefined) notes.push('not installed: no Python');
  else if (!time.fits(LEAST_MS)) notes.push('skipped: no time');
  else await runPeer(python, requestOf(check, device, time), time, take);
  put();
}

const requestOf = ({ scale }: Check, device: string, time: Deadline): string =>
  JSON.stringify({
    ...{ device, prompt: scale.prompt, decoded: scale.decoded, prefill: scale.prefill, rounds: scale.rounds },
    rows: scale.rows,
    seconds: Math.max(1, time.leftMs() / 1000 - 3),
    models: Object.fromEntries(SHAPE_NAMES.map((name) => [name, configOf(scale.shapes[name])])),
  });

/** Runs peer.py, or ends it at the deadline. @param take gets its lines */
export async function runPeer(
  python: string,
  request: string,
  time: Deadline,
  take: (line: Line) => void,
): Promise<void> {
  const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-500);
  });
  const end = (): void => {
    child.kill('SIGKILL');
    // Processes that compile for PyTorch have these pipes too, and can outlive it.
    lines.close();
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const alarm = setTimeout(end, time.leftMs());
  process.once('exit', end);
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    // PyTorch and its compilers print there, too.
    if (line.startsWith('{"')) take(JSON.parse(line) as Line);
  });
  const closed = Promise.all([once(child, 'close'), once(lines, 'close')]);
  child.stdin.on('error', () => undefined).end(request);
  const [[code]] = (await closed) as [[number | null], unknown];
  clearTimeout(alarm);
  process.off('exit', end);
  if (code !== 0) take({ problem: `Python ended: ${code ?? 'at the deadline'} ${stderr.trim().split('\n').at(-1)}` });
}
