/** `doctor` on GPUs that draw other tokens, fail, or crash, and its wrong command lines. */
import { describe, expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { examined, played } from './examined.ts';

describe('a GPU', () => {
  test('that draws other tokens is wrong, and is not used', async () => {
    const { code, report, device } = await examined(['--device', 'webgpu'], played('wrong'));
    expect([code, report.ok]).toEqual([1, false]);
    expect(device('webgpu')?.run).toMatchObject({ works: false, outcome: 'ran', tokens: 10, tokens_as_cpu: 0 });
    const page = await runCli(['doctor', '--device', 'webgpu'], { env: played('wrong') });
    expect(page.code).toBe(1);
    expect(page.stdout).toMatch(/webgpu +WRONG {2}only the first 0 of 10 tokens are those of the CPU/);
    expect(page.stdout).toMatch(/would use webgpu: selected by --device\. It does not work/);
  });

  test.each(['crash', 'refused'])('that fails (%s) is reported, and the next device is still examined', async (how) => {
    const { code, report, device } = await examined([], played(how));
    expect([code, report.used?.device]).toEqual([0, 'cpu']);
    expect(device('cpu')?.run?.works).toBe(true);
    expect(device('webgpu')?.run).toMatchObject(
      how === 'crash'
        ? { works: false, outcome: 'lost', problem: expect.stringContaining('signal SIGSEGV') }
        : { works: false, outcome: 'refused', problem: 'coreml cannot be used: available on macOS only' },
    );
  });

  test('whose driver crashes in the probe is reported too', async () => {
    const { code, report } = await examined([], played('probe-crash'));
    expect(code).toBe(1);
    expect(report.runtime.problem).toBe('the search for devices failed: signal SIGSEGV');
  });
});

test.each([[['--jsonn']], [['--dtype']]])('a wrong command line: exit 2 (%j)', async (args) => {
  const { code, stdout, stderr } = await runCli(['doctor', ...args]);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^rbees-workerd: /);
});
