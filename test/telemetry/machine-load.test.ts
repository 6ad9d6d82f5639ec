/** The figures of the machine are read from /proc, at most as often as is asked for. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MachineLoad } from '../../src/telemetry/machine-load.ts';

const PRESSURE =
  'some avg10=0.48 avg60=3.61 avg300=2.37 total=10541637\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n';
const stat = (name: string): string => `42 (${name}) S 1 42 42 0 -1 4194304 900 0 12 0 250 50 0 0 20 0 11 0 777 1 2\n`;

/** A machine whose files a test plays. */
function machine(files: Readonly<Record<string, string>>, pid: number | undefined = 42) {
  const clock = { now: 100 };
  const reads: string[] = [];
  const text = (path: string): string => {
    reads.push(path);
    const found = files[path];
    if (found === undefined) throw new Error('ENOENT');
    return found;
  };
  return { clock, reads, load: new MachineLoad(() => pid, { text, now: () => clock.now }) };
}

test('a sample has the total of the pressure and the processor time of the engine', () => {
  const { load } = machine({ '/proc/pressure/cpu': PRESSURE, '/proc/42/stat': stat('node') });
  expect(load.sample(0)).toEqual({ at: 100, pressureMs: 10_541.637, pid: 42, engineMs: 3000 });
});

test('the name of a process can contain parentheses and spaces', () => {
  const { load } = machine({ '/proc/pressure/cpu': PRESSURE, '/proc/42/stat': stat('a) b (c') });
  expect(load.sample(0)?.engineMs).toBe(3000);
});

test('a sample that is young enough is not read again', () => {
  const { load, clock, reads } = machine({ '/proc/pressure/cpu': PRESSURE, '/proc/42/stat': stat('node') });
  const first = load.sample(250);
  clock.now += 249;
  expect(load.sample(250)).toBe(first);
  expect(reads).toHaveLength(2);
  clock.now += 1;
  expect(load.sample(250)?.at).toBe(350);
  expect(load.sample(0)).not.toBe(first);
});

test.each([
  ['a system without PSI', { '/proc/42/stat': stat('node') }, 42],
  ['an engine that has ended', { '/proc/pressure/cpu': PRESSURE }, 42],
  ['no engine', { '/proc/pressure/cpu': PRESSURE, '/proc/42/stat': stat('node') }, undefined],
  ['another format', { '/proc/pressure/cpu': 'total=1', '/proc/42/stat': '42 (node) S' }, 42],
])('%s has no sample', (_, files: Readonly<Record<string, string>>, pid) => {
  const { load, clock } = machine(files);
  const none = pid === undefined ? new MachineLoad(() => pid, { text: () => PRESSURE, now: () => clock.now }) : load;
  expect(none.sample(0)).toBeUndefined();
});

test.runIf(existsSync('/proc/pressure/cpu'))('this machine has the figures', () => {
  const load = new MachineLoad(() => process.pid);
  const first = load.sample(0);
  for (const until = performance.now() + 100; performance.now() < until; );
  const second = load.sample(0);
  expect(second?.pressureMs).toBeGreaterThanOrEqual(first?.pressureMs ?? Number.NaN);
  expect(second?.engineMs).toBeGreaterThanOrEqual(first?.engineMs ?? Number.NaN);
  expect(first?.engineMs).toBeGreaterThan(0);
});
