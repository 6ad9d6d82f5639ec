/**
 * The class of answers that end their connection while the worker drains: a client that reads `Connection:
 * close` sends its next request elsewhere, and is not cut off when the worker ends.
 */
import { type IncomingMessage, ServerResponse } from 'node:http';

/**
 * A class of answers for Node's option `ServerResponse`.
 * @param isLast asked when the headers of an answer are written; true adds `Connection: close`. Node then
 * ends the connection after the answer
 */
export function lastAnswers(isLast: () => boolean): typeof ServerResponse {
  return class LastAnswer<Request extends IncomingMessage> extends ServerResponse<Request> {
    /** Node calls this method for every answer, also for one that only writes a body. */
    override writeHead(status: number, ...rest: unknown[]): this {
      if (!this.headersSent && isLast()) {
        this.setHeader('Connection', 'close');
        this.removeHeader('Keep-Alive');
        dropConnectionHeaders(rest.at(-1));
      }
      return super.writeHead(status, ...(rest as []));
    }
  };
}

/** Headers of the call replace those of the answer. Fastify passes an object with names in lower case. */
function dropConnectionHeaders(headers: unknown): void {
  if (typeof headers !== 'object' || headers === null) return;
  for (const name of ['connection', 'keep-alive']) Reflect.deleteProperty(headers, name);
}
