/** The progress of a download: one line on a terminal, plain lines elsewhere, correct numbers. */
import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import { ProgressBar } from '../../../src/commands/pull/progress-bar.ts';
import { Terminal } from '../../../src/commands/terminal.ts';

/** A stream that records its text, and a clock that the test moves. */
function screen(terminal: { readonly columns: number } | undefined) {
  const stage = { written: '', now: 0 };
  const out = {
    isTTY: terminal !== undefined,
    columns: terminal?.columns,
    write(text: string): boolean {
      stage.written += text;
      return true;
    },
  } as NodeJS.WriteStream;
  return { stage, progress: new ProgressBar(new Terminal(out), () => stage.now) };
}

/** Downloads 40 MB of 100 MB, at 10 MB/s. */
function fourSeconds({ stage, progress }: ReturnType<typeof screen>): void {
  progress.begin(100e6);
  progress.file('onnx/model_q4.onnx', 100e6);
  progress.at(0, true);
  for (let second = 1; second <= 4; second++) {
    stage.now = second * 1000;
    progress.at(second * 10e6);
  }
}

describe('on a terminal', () => {
  test('redraws one line: name, bar, percent, bytes, speed and time left', () => {
    const one = screen({ columns: 100 });
    fourSeconds(one);
    expect(one.stage.written).not.toContain('\n');
    const last = one.stage.written.split('\r').at(-1) ?? '';
    expect(last).toBe(
      `model_q4.onnx ${'█'.repeat(9)}${'░'.repeat(15)} 40 %, 40.0 MB of 100 MB, 10.0 MB/s, 0:06 left\x1b[K`,
    );
    one.progress.end();
    expect(one.stage.written.endsWith('\n')).toBe(true);
  });

  test.each([20, 60, 80, 200])('the line never wraps on %i columns', (columns) => {
    const one = screen({ columns });
    fourSeconds(one);
    one.progress.file(`onnx/${'x'.repeat(300)}`, 0);
    one.progress.fileDone();
    for (const line of one.stage.written.split('\r')) expect(line.replace('\x1b[K', '').length).toBeLessThan(columns);
  });

  test.each(['模型权重文件模型权重文件模型权重文件', '👩‍👩‍👧‍👦'.repeat(20), 'e\u0301'.repeat(40)])(
    'the line never wraps with the wide name %s',
    (name) => {
      for (const columns of [20, 41, 60, 80]) {
        const one = screen({ columns });
        one.progress.begin(100e6);
        one.progress.file(`onnx/${name}.onnx`, 100e6);
        one.progress.fileDone();
        const line = one.stage.written.replace('\r', '').replace('\x1b[K', '');
        expect(stringWidth(line)).toBeLessThan(columns);
        expect(name.startsWith(line.split(' ')[0] ?? '-')).toBe(true);
      }
    },
  );

  test('a sentence replaces the line', () => {
    const one = screen({ columns: 80 });
    fourSeconds(one);
    one.progress.say('the connection broke');
    expect(one.stage.written.endsWith('\r\x1b[Kthe connection broke\n')).toBe(true);
    one.progress.at(41e6);
    expect(one.stage.written.split('\n').at(-1)).toContain('41 %');
  });

  test('is drawn at most ten times per second', () => {
    const one = screen({ columns: 80 });
    one.progress.begin(1000);
    one.progress.file('a', 1000);
    for (let ms = 0; ms < 1000; ms++) {
      one.stage.now = ms;
      one.progress.at(ms);
    }
    expect(one.stage.written.split('\r').length - 1).toBe(9);
  });
});

describe('in a file or a pipe', () => {
  test('writes a line every ten seconds, and one for a complete file', () => {
    const one = screen(undefined);
    one.progress.begin(100e6);
    one.progress.file('onnx/model_q4.onnx', 100e6);
    for (let second = 0; second <= 20; second++) {
      one.stage.now = second * 1000;
      one.progress.at(second * 5e6, second === 0);
    }
    one.progress.fileDone();
    one.progress.end();
    expect(one.stage.written.split('\n')).toEqual([
      'onnx/model_q4.onnx: 50 %, 50.0 MB of 100 MB, 5.00 MB/s, 0:10 left',
      'onnx/model_q4.onnx: 100 %, 100 MB of 100 MB, 5.00 MB/s, 0:00 left',
      'onnx/model_q4.onnx: 100 MB in 20.0 s',
      '',
    ]);
  });
});

test('bytes of an earlier pull count as done, but not for the speed', () => {
  const one = screen({ columns: 120 });
  one.progress.begin(100e6);
  one.progress.file('a.onnx', 100e6);
  one.progress.at(80e6, true);
  one.stage.now = 1000;
  one.progress.at(81e6);
  expect(one.stage.written).toMatch(/81 %, 81\.0 MB of 100 MB, 1\.00 MB\/s, 0:19 left/);
});

test('a file that starts again loses its percentage, but not its speed', () => {
  const one = screen({ columns: 120 });
  fourSeconds(one);
  one.stage.now = 5000;
  one.progress.at(0);
  expect(one.stage.written.split('\r').at(-1)).toMatch(/ 0 %, 0 B of 100 MB, 8\.00 MB\/s, 0:13 left/);
});
