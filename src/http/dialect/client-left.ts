/** Ends the work of a request without a job when its client leaves. */
import type { FastifyReply } from 'fastify';

/** The client has closed the connection before its answer. */
export class ClientLeft extends Error {}

/**
 * Runs work that a signal ends when the client closes the connection.
 * @returns the result, or undefined if the client has left: the route then sends no reply
 */
export async function untilClientLeaves<T>(
  reply: FastifyReply,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const { raw } = reply;
  const controller = new AbortController();
  const onClose = (): void => {
    if (!raw.writableEnded) controller.abort(new ClientLeft());
  };
  raw.once('close', onClose);
  try {
    const result = await work(controller.signal);
    if (!raw.destroyed) return result;
  } catch (error) {
    if (!(error instanceof ClientLeft)) throw error;
  } finally {
    raw.removeListener('close', onClose);
  }
  reply.hijack();
  return undefined;
}
