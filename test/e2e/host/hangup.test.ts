/** A terminal that closes sends SIGHUP to the whole process group: the worker drains, and its engine goes on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid, STATE_HOME } from '../../support/cli.ts';
import { busyWorker, expectCleanEnd, expectDraining } from '../../support/drain.ts';
import { eventually } from '../../support/eventually.ts';
import { lastOf } from '../../support/listener.ts';
import { killAll, signalIfAlive, track, untilGone } from '../../support/processes.ts';
import { CLI, startWorker, type TestWorker } from '../../support/worker.ts';

afterEach(killAll);

const hangUp = ({ process: { pid } }: Pick<TestWorker, 'process'>): void => {
  signalIfAlive(-(pid ?? 0), 'SIGHUP');
};

describe('SIGHUP to the process group', () => {
  test('lets the stream finish and refuses new work; a second one changes nothing', async () => {
    const { worker, stream } = await busyWorker({ detached: true });
    // A suspended engine cannot end the stream before the requests below.
    const engine = enginePid(worker);
    process.kill(engine, 'SIGSTOP');
    hangUp(worker);
    await worker.line('worker.draining');
    hangUp(worker);
    await expectDraining(worker);
    process.kill(engine, 'SIGCONT');
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    await expectCleanEnd(worker, 'sighup');
  });

  test('after SIGTERM, as systemd sends it, does not force the stop', async () => {
    const { worker, stream } = await busyWorker({ detached: true });
    worker.process.kill('SIGTERM');
    await worker.line('worker.draining');
    hangUp(worker);
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    await expectCleanEnd(worker, 'sigterm');
  });
});

describe('an ignored SIGHUP', () => {
  test.each([
    // A shell leaves its variable `_`.
    ['nohup', { launcher: ['nohup'], env: { _: '/usr/bin/nohup' } }],
    // The shell stays the parent of the worker.
    ["trap '' HUP", { launcher: ['sh', '-c', `trap '' HUP; "$@"; exit $?`, 'sh'] }],
  ])('by %s leaves the worker running', async (_, options) => {
    const worker = await startWorker({ ...options, detached: true });
    hangUp(worker);
    hangUp(worker);
    const events = await worker.execute({ job_id: 'after', prompt: 'x', max_tokens: 5 });
    expect(events.at(-1)?.data).toMatchObject({ type: 'end' });
    expect(worker.lines.map(({ event }) => event)).not.toContain('engine.lost');
    process.kill(Number(worker.lines[0]?.['pid']), 'SIGTERM');
    await expectCleanEnd(worker, 'sigterm');
  });

  test('by nohup leaves ask and its worker running', async () => {
    const ask = track(
      spawn('nohup', [process.execPath, CLI, 'ask', 'A haiku'], {
        env: { PATH: process.env['PATH'] ?? '', XDG_STATE_HOME: STATE_HOME, _: '/usr/bin/nohup' },
        stdio: ['ignore', 'pipe', 'ignore'],
        detached: true,
      }),
    );
    let text = '';
    for await (const chunk of ask.stdout.setEncoding('utf8')) {
      text += chunk;
      hangUp({ process: ask });
    }
    if (ask.exitCode === null) await once(ask, 'exit');
    expect({ code: ask.exitCode, signal: ask.signalCode }).toEqual({ code: 0, signal: null });
    expect(text.trimEnd().split('\n').length).toBe(3);
  });
});

/** `script` of util-linux runs a command in a terminal. The terminal closes with the process. */
describe.runIf(existsSync('/usr/bin/script'))('a terminal that closes', () => {
  test('drains the worker in its foreground, which then exits without a fault', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'terminal-'));
    const [log, errors] = [join(folder, 'log'), join(folder, 'errors')];
    const command = `exec "${process.execPath}" "${CLI}" --port 0 >"${log}" 2>"${errors}"`;
    const terminal = track(
      spawn('script', ['-qc', command, '/dev/null'], {
        env: { PATH: process.env['PATH'] ?? '', SHELL: '/bin/sh' },
        stdio: ['pipe', 'ignore', 'inherit'],
      }),
    );
    try {
      await eventually(() => expect(readFileSync(log, 'utf8')).toContain('"warmup.done"'));
      terminal.kill('SIGKILL');
      await untilGone(JSON.parse(readFileSync(log, 'utf8').split('\n')[0] ?? '').pid);
      const last = readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? '';
      expect(JSON.parse(last)).toMatchObject({ event: 'server.shutdown', reason: 'sighup' });
      // Node.js reports there that it could not restore the terminal.
      expect(readFileSync(errors, 'utf8')).toBe('');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
