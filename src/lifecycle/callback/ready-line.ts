/**
 * The line of `--ready-fd`: one JSON object for the parent process, written when the worker is ready. Never
 * blocks the worker: a full pipe gets the line when its reader continues, and a closed one costs a narration.
 */
import { closeSync, fstatSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { WorkerFacts } from '../../contract/callback.ts';
import { narrate } from '../../narration/narrate.ts';
import { messageOf } from '../../protocol/text/error-message.ts';

/** The fields of the ready callback that every worker knows, and the address that it listens on. */
export interface ReadyLine extends WorkerFacts {
  /** Host and port, as in `server.bound`. */
  readonly address: string;
}

/**
 * Writes the line into the descriptor, and closes it. Narrates the outcome. Never throws.
 * @param fd checked by `checkReadyDescriptor` at the start
 */
export function writeReadyLine(fd: number, line: ReadyLine): void {
  const text = `${JSON.stringify(line)}\n`;
  try {
    if (fstatSync(fd).isFile()) writeFile(fd, text);
    else writeStream(fd, text);
  } catch (error) {
    reportFailure(fd, error);
  }
}

/** @throws Error of the system */
function writeFile(fd: number, text: string): void {
  try {
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
  } finally {
    closeSync(fd);
  }
  narrate('ready_fd.written', { descriptor: fd });
}

/** The event loop writes to pipes and sockets, so a reader that is slow does not delay it. */
function writeStream(fd: number, text: string): void {
  const stream = streamOf(fd);
  stream.once('error', (error) => reportFailure(fd, error));
  stream.end(text);
  stream.once('finish', () => {
    narrate('ready_fd.written', { descriptor: fd });
    // A socket would wait for the other end.
    stream.destroy();
  });
  // A worker that stops does not wait for the reader.
  stream.unref();
}

/**
 * Closes a descriptor that Node.js cannot write to, such as a socket of datagrams.
 * @throws Error
 */
function streamOf(fd: number): Socket {
  try {
    return new Socket({ fd, readable: false, writable: true });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function reportFailure(fd: number, error: unknown): void {
  const reason = (error as NodeJS.ErrnoException).code ?? messageOf(error);
  narrate('ready_fd.failed', { descriptor: fd, error_kind: 'ready_fd_failed', reason });
}
