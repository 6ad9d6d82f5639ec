/** Where the port is: the line of --ready-fd, and `server.bound` at every level of the log. */
import { execFileSync, fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  createReadStream,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { enginePid, runCli } from '../../support/cli.ts';
import { lastOf } from '../../support/listener.ts';
import { track } from '../../support/processes.ts';
import { CLI, startWorker, TestWorker } from '../../support/worker.ts';
import { factsOf } from '../../support/worker-facts.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ready-fd-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let worker: TestWorker | undefined;
const open = new Set<number>();
afterEach(async () => {
  await worker?.kill();
  worker = undefined;
  for (const fd of open) closeSync(fd);
  open.clear();
});

function openFile(path: string, flags: number | string): number {
  const fd = openSync(path, flags);
  open.add(fd);
  return fd;
}

function close(fd: number): void {
  open.delete(fd);
  closeSync(fd);
}

/** The two ends of a named pipe. */
function openPipe(name: string): { readonly reader: number; readonly writer: number } {
  const path = join(folder, name);
  execFileSync('mkfifo', [path]);
  const reader = openFile(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openFile(path, constants.O_WRONLY | constants.O_NONBLOCK) };
}

/** Everything that comes out of a pipe until all writers have closed it. */
async function readPipe(reader: number): Promise<string> {
  let all = '';
  for (;;) {
    const stream = createReadStream('', { fd: reader, autoClose: false });
    try {
      for await (const part of stream) all += String(part);
      return all;
    } catch (error) {
      // The pipe has no blocking mode, so an empty one is an error.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

const ARGS = ['--ready-fd', '3', '--worker-id', 'w-3'];

function expectLine(line: string, of: TestWorker): void {
  expect(line).toMatch(/^[^\n]+\n$/);
  const bound = of.lines.find(({ event }) => event === 'server.bound');
  expect(JSON.parse(line)).toEqual({ ...factsOf(of, 'w-3'), address: bound?.['address'] });
}

describe.skipIf(process.platform === 'win32')('--ready-fd gets one line of a worker that is ready, and its end', () => {
  test('as a socket, which Node.js makes of a pipe', async () => {
    worker = new TestWorker({ args: ARGS, moreStdio: ['pipe'] });
    const line = await text(worker.process.stdio[3] as Readable);
    const { url } = JSON.parse(line) as { url: string };
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    expect(await worker.line('ready_fd.written')).toMatchObject({ level: 'INFO', descriptor: 3 });
    expectLine(line, worker);
    expect(worker.process.exitCode).toBeNull();
  });

  test('as a pipe, which the engine does not inherit', async () => {
    const { reader, writer } = openPipe('pipe');
    worker = new TestWorker({ args: ARGS, moreStdio: [writer] });
    close(writer);
    // The end comes only when no process has the other end.
    const line = await readPipe(reader);
    expect(enginePid(worker)).toBeGreaterThan(0);
    expectLine(line, worker);
  });

  test('as a file', async () => {
    const path = join(folder, 'ready.json');
    worker = new TestWorker({ args: ARGS, moreStdio: [openFile(path, 'w')] });
    await worker.line('ready_fd.written');
    expectLine(readFileSync(path, 'utf8'), worker);
  });

  test('with the URL of --advertise-url, and the address of the port', async () => {
    worker = new TestWorker({ args: [...ARGS, '--advertise-url', 'https://w.example/7'], moreStdio: ['pipe'] });
    const line = JSON.parse(await text(worker.process.stdio[3] as Readable)) as Record<string, string>;
    expect(line).toMatchObject({ url: 'https://w.example/7', uri: 'https://w.example/7' });
    expect((await fetch(`http://${line['address']}/live`)).status).toBe(200);
  });
});

describe.skipIf(process.platform === 'win32')('a bad reader of --ready-fd', () => {
  test('that has left costs a warning', async () => {
    const { reader, writer } = openPipe('broken');
    close(reader);
    worker = new TestWorker({ args: ARGS, moreStdio: [writer] });
    expect(await worker.line('ready_fd.failed')).toMatchObject({ level: 'WARN', descriptor: 3, reason: 'EPIPE' });
    expect(lastOf(await worker.execute({ job_id: 'on', prompt: 'The sea', max_tokens: 2 })).type).toBe('end');
    expect(await worker.stop()).toBe(0);
  });

  test('that does not read delays nothing, and gets the line when it reads', async () => {
    const { reader, writer } = openPipe('full');
    const filler = Buffer.alloc(4096, '-');
    try {
      for (;;) writeSync(writer, filler);
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('EAGAIN');
    }
    worker = await startWorker({ args: ARGS, moreStdio: [writer] });
    close(writer);
    expect(lastOf(await worker.execute({ job_id: 'on', prompt: 'The sea', max_tokens: 2 })).type).toBe('end');
    expect(worker.lines.filter(({ event }) => event.startsWith('ready_fd.'))).toEqual([]);
    expectLine((await readPipe(reader)).replace(/^-+/, ''), worker);
    await worker.line('ready_fd.written');
  });

  test('that does not read delays no stop', async () => {
    const { writer } = openPipe('stuck');
    try {
      for (;;) writeSync(writer, Buffer.alloc(4096, '-'));
    } catch {}
    worker = await startWorker({ args: ARGS, moreStdio: [writer] });
    expect(await worker.stop()).toBe(0);
  });
});

test.runIf(process.platform === 'linux')('a socket of datagrams costs a warning, and is closed', async () => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  try {
    const { fd } = (socket as unknown as { readonly _handle: { readonly fd: number } })._handle;
    worker = new TestWorker({ args: ARGS, moreStdio: [fd] });
    expect(await worker.line('ready_fd.failed')).toMatchObject({ level: 'WARN', reason: 'ERR_INVALID_FD_TYPE' });
    expect(existsSync(`/proc/${worker.process.pid}/fd/3`)).toBe(false);
  } finally {
    socket.close();
  }
});

test('a worker that never gets ready closes --ready-fd without a line', async () => {
  worker = new TestWorker({ args: [...ARGS, '--model', join(folder, 'no-such-model')], moreStdio: ['pipe'] });
  expect(await text(worker.process.stdio[3] as Readable)).toBe('');
  expect((await worker.exited).code).toBe(1);
});

describe.runIf(process.platform === 'linux')('a descriptor that no parent opened for the worker ends the start', () => {
  /** Exit code, stdout and stderr of a start with this descriptor 3, or without one. */
  async function refusal(moreStdio: readonly ('ignore' | 'pipe' | number)[], fd = 3) {
    const started = new TestWorker({ args: ['--ready-fd', String(fd)], moreStdio });
    worker = started;
    const { code } = await started.exited;
    return { code, stdout: started.stdout, stderr: started.stderr };
  }

  test.each(Array.from({ length: 13 }, (_, index) => index + 3))('%i, which Node.js may use itself', async (fd) => {
    expect(await refusal([], fd)).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(
        new RegExp(
          `^rbees-workerd: --ready-fd: descriptor ${fd} is (?:not open|neither a pipe, a socket nor a file|not open for writing|a pipe whose other end is in the worker too); the parent process must open it`,
        ),
      ),
    });
  });

  test('a device', async () => {
    const { code, stderr } = await refusal([openFile('/dev/null', 'w')]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('is neither a pipe, a socket nor a file')]);
  });

  test.each(['file', 'pipe'])('a %s that is open for reading only', async (kind) => {
    const fd = kind === 'file' ? openFile(CLI, 'r') : openPipe('reader').reader;
    const { code, stderr } = await refusal([fd]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('descriptor 3 is not open for writing')]);
  });

  test('the IPC channel of a parent that runs Node.js', async () => {
    const child = track(fork(CLI, ['--port', '0', ...ARGS], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] }));
    const exited = once(child, 'exit');
    expect(await text(child.stderr as Readable)).toContain('descriptor 3 is the IPC channel of Node.js');
    expect((await exited)[0]).toBe(2);
  });

  test.each(['2', '16', 'x'])('%s is not allowed', async (value) => {
    const { code, stderr } = await runCli(['--ready-fd', value]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('allowed: none, or 3 to 15')]);
  });
});

test('ask starts its worker without --ready-fd', async () => {
  const { code, stdout, stderr } = await runCli(['ask', 'The sea', '--', '--ready-fd', '3']);
  expect([code, stderr]).toEqual([0, expect.stringContaining('tokens/s')]);
  expect(stdout).not.toBe('');
});

describe('server.bound', () => {
  test.each(['warn', 'fatal'])(
    'is the only line at --log-level %s of a worker that starts and stops',
    async (level) => {
      worker = new TestWorker({ args: ['--log-level', level] });
      const bound = await worker.line('server.bound');
      while ((await worker.get('/ready')).status !== 200) await new Promise((resolve) => setTimeout(resolve, 5));
      expect(await worker.stop()).toBe(0);
      expect(worker.lines).toEqual([bound]);
      expect(bound).toMatchObject({ level: 'INFO', url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) });
      expect(Object.keys(bound).slice(0, 3)).toEqual(['timestamp', 'level', 'event']);
    },
  );

  test('is the only line in the pretty format, too', async () => {
    worker = new TestWorker({ args: ['--log-level', 'fatal', '--log-format', 'pretty'] });
    const { process: child } = worker;
    while (!worker.stdout.includes('\n')) await once(child.stdout as Readable, 'data');
    expect(await worker.stop()).toBe(0);
    expect(worker.stdout).toMatch(/^\[.*Z\] INFO \S+: HTTP server listens on 127\.0\.0\.1:\d+\n$/);
  });
});
