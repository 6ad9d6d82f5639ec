/** The traces of an ignored SIGHUP: the variable `_`, the standard streams of nohup, and the parent process. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { hangupEnvironment, ignoresHangup } from '../../src/config/host/hangup.ts';

const PARENT = 7;

interface Traces {
  readonly flags?: string;
  readonly input?: string;
  readonly output?: string;
  readonly parentIgnores?: string;
}

/** The files of /proc with these traces; every other file is missing. */
function procOf({ flags, input, output, parentIgnores }: Traces) {
  const existing = (value: string | undefined): string => {
    if (value === undefined) throw new Error('ENOENT');
    return value;
  };
  return {
    text: (path: string) =>
      path === `/proc/${PARENT}/status`
        ? existing(parentIgnores && `Name:\tsh\nSigIgn:\t${parentIgnores}\nSigCgt:\t0000000000000001\n`)
        : existing(flags && `pos:\t0\nflags:\t${flags}\nmnt_id:\t23\n`),
    target: (path: string) => existing(path.endsWith('/1') ? output : input),
  };
}

const ignored = (environment: NodeJS.ProcessEnv, traces: Traces): boolean =>
  ignoresHangup(environment, PARENT, procOf(traces));

describe('a hang-up is ignored', () => {
  test.each<[string, NodeJS.ProcessEnv, Traces]>([
    ['if a shell has started nohup', { _: '/usr/bin/nohup' }, {}],
    ['if standard input is /dev/null, opened for writing', {}, { flags: '02100001', input: '/dev/null' }],
    ['if standard output is the file of nohup', {}, { output: '/srv/nohup.out' }],
    ['if the parent ignores it', {}, { parentIgnores: '0000000000000005' }],
  ])('%s', (_, environment, traces) => {
    expect(ignored(environment, traces)).toBe(true);
  });

  test('by a child of a process that ignores it', () => {
    const environment = { HOME: '/root', _: '/usr/bin/node' };
    expect(hangupEnvironment(true, environment)['HOME']).toBe('/root');
    expect(ignored(hangupEnvironment(true, environment), {})).toBe(true);
    expect(ignored(hangupEnvironment(false, environment), {})).toBe(false);
  });
});

describe('a hang-up is not ignored', () => {
  test.each<[string, NodeJS.ProcessEnv, Traces]>([
    ['without any trace, for example on macOS', {}, {}],
    ['if a shell has started node', { _: '/usr/bin/node' }, {}],
    ['if standard input is /dev/null for reading', {}, { flags: '02100000', input: '/dev/null' }],
    ['if the standard streams are other files', {}, { flags: '0100001', input: '/tmp/file', output: '/tmp/nohup.log' }],
    ['if the parent ignores other signals', {}, { parentIgnores: '0000000000001004' }],
    ['if the files of /proc have another form', {}, { flags: 'x', input: '/dev/null', parentIgnores: 'x' }],
  ])('%s', (_, environment, traces) => {
    expect(ignored(environment, traces)).toBe(false);
  });
});

test.runIf(process.platform === 'linux')('the traces that a real shell leaves', () => {
  const file = fileURLToPath(new URL('../../dist/config/host/hangup.js', import.meta.url));
  const script = `import { ignoresHangup } from ${JSON.stringify(file)}; process.stdout.write(String(ignoresHangup()));`;
  const run = (trap: string): string => {
    const command = `${trap}"$0" --input-type=module -e "$1"; exit`;
    const env = { PATH: process.env['PATH'] ?? '' };
    return spawnSync('sh', ['-c', command, process.execPath, script], { encoding: 'utf8', env }).stdout;
  };
  expect([run(''), run("trap '' HUP; ")]).toEqual(['false', 'true']);
});
