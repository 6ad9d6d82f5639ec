/**
 * scripts/check-gpu/peer.py with modules that have the functions of PyTorch and transformers which it calls: its
 * order, its lines and its limits of time. The packages themselves are not installed here.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deadlinesOf } from '../../../scripts/check-gpu/budget.ts';
import { pythonOf, runPeer } from '../../../scripts/check-gpu/peer-part.ts';

const TORCH = `
import contextlib

__version__ = "2.0"
float16 = "float16"


class Tensor:
    def __init__(self, *shape):
        self.shape = shape

    def __getitem__(self, _):
        return Tensor(self.shape[0], 1)

    def __add__(self, _):
        return self

    def argmax(self, _):
        return Tensor(self.shape[0], 1)

    def clone(self):
        return self


class compiler:
    @staticmethod
    def cudagraph_mark_step_begin():
        pass


class cuda:
    @staticmethod
    def is_available():
        return False


@contextlib.contextmanager
def device(name):
    yield


inference_mode = lambda: contextlib.nullcontext()
set_default_dtype = lambda kind: None
compile = lambda function, mode, dynamic: function
randint = lambda low, high, shape, device: Tensor(*shape)
arange = lambda count, device: Tensor(count)
`;
const TRANSFORMERS = `
from torch import Tensor

__version__ = "5.0"


class LlamaConfig:
    def __init__(self, **fields):
        assert fields["hidden_size"] > 0 and "architectures" not in fields
        if fields["hidden_size"] == 13:
            raise ValueError("no such size")


class Out:
    def __init__(self, rows, cache):
        self.logits, self.past_key_values = Tensor(rows, 1, 512), cache


class StaticCache:
    def __init__(self, config, max_cache_len):
        self.length = max_cache_len


class LlamaForCausalLM:
    dtype = "float16"

    def __init__(self, config):
        self.config = config

    def eval(self):
        return self

    def forward(self, input_ids, use_cache, past_key_values=None, logits_to_keep=0, cache_position=None):
        return Out(input_ids.shape[0], past_key_values or "grown")

    __call__ = forward
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'peer-'));
  mkdirSync(join(folder, 'packages'));
  writeFileSync(join(folder, 'packages', 'torch.py'), TORCH);
  writeFileSync(join(folder, 'packages', 'transformers.py'), TRANSFORMERS);
});
afterAll(() => rmSync(folder, { recursive: true }));

const SIZES = { device: 'cpu', prompt: 8, decoded: 4, prefill: 16, rounds: 2, rows: [1, 4] };

/** The lines of the script for a request. */
async function linesFor(request: object, packages = 'packages'): Promise<Record<string, unknown>[]> {
  // -I would ignore PYTHONPATH; -S hides packages of this machine.
  const child = spawn(pythonOf() ?? '', ['-S', 'scripts/check-gpu/peer.py'], {
    env: { ...process.env, PYTHONPATH: join(folder, packages), PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify({ ...SIZES, ...request }));
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe.runIf(pythonOf() !== undefined)('PyTorch beside the engine', () => {
  const config = (hidden_size: number): object => ({ architectures: ['x'], hidden_size });

  test('measures each shape eager and compiled, by rows', async () => {
    const lines = await linesFor({ seconds: 100, models: { small: config(8) } });
    expect(lines[0]).toEqual({ versions: 'PyTorch 2.0, transformers 5.0' });
    const found = lines.slice(1).map(({ shape, mode, rows, prefill, rate }) => {
      expect(Number(rate ?? prefill)).toBeGreaterThan(0);
      return [shape, mode, rows];
    });
    expect(found).toEqual(
      ['eager', 'compiled'].flatMap((mode) => [undefined, 1, 4].map((rows) => ['small', mode, rows])),
    );
  });

  test('a model that fails is named, and costs no other model', async () => {
    const lines = await linesFor({ seconds: 100, models: { broken: config(13), small: config(8) } });
    expect(lines).toContainEqual({ shape: 'broken', mode: 'eager', problem: 'ValueError: no such size' });
    expect(lines).toContainEqual(expect.objectContaining({ shape: 'small', mode: 'eager', rows: 4 }));
  });

  test('without time, each model is named as skipped', async () => {
    const lines = await linesFor({ seconds: 0, models: { small: config(8) } });
    const skipped = (mode: string): object => ({ shape: 'small', mode, problem: 'skipped: no time' });
    expect(lines.slice(1)).toEqual([skipped('eager'), skipped('compiled')]);
  });

  test('reports that a package is not installed, or that it has no CUDA', async () => {
    expect(await linesFor({ seconds: 1, models: {} }, 'none')).toEqual([{ problem: 'not installed: torch' }]);
    expect(await linesFor({ device: 'cuda', seconds: 1, models: {} })).toEqual([
      { problem: 'not installed: PyTorch has no CUDA' },
    ]);
  });
});

describe.runIf(process.platform !== 'win32')('a Python', () => {
  /** The lines of a program in place of Python, which gets so many milliseconds. */
  async function linesOf(program: string, ms: number): Promise<object[]> {
    const file = join(folder, 'python');
    writeFileSync(file, `#!/bin/sh\n${program}\n`);
    chmodSync(file, 0o700);
    const lines: object[] = [];
    await runPeer(file, '{}', deadlinesOf(ms, { all: 1 }).all, (line) => lines.push(line));
    return lines;
  }

  test('that is ended at the deadline is not waited for, if its own processes have the pipe', async () => {
    // The second process ends with its pipe, when it prints.
    const lines = await linesOf('(while sleep 1; do echo x; echo x >&2; done) &\nwait', 300);
    expect(lines).toEqual([{ problem: expect.stringContaining('at the deadline') }]);
  });

  test('that prints other lines, and fails, loses no line before', async () => {
    const lines = await linesOf(`echo 'W0101 compiling'; echo '{"versions": "1"}'; echo broken >&2; exit 3`, 60_000);
    expect(lines).toEqual([{ versions: '1' }, { problem: 'Python ended: 3 broken' }]);
  });
});
