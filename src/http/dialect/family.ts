/**
 * Route families whose code is loaded when one of their routes is first used: most workers serve one family,
 * and its schemas take milliseconds of a start.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import { WorkerError } from '../../contract/errors.ts';
import type { Admission } from '../../jobs/admission.ts';
import type { LoadedModel } from '../../lifecycle/load-model.ts';
import { narrate } from '../../narration/narrate.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { ErrorFormatter } from '../error-handler.ts';

/** The handler of a route, and the shape of its errors. */
export interface Handler {
  readonly handle: (request: FastifyRequest, reply: FastifyReply) => unknown;
  /** Writes errors in the shape of the route's family. */
  readonly formatError: ErrorFormatter;
}

/** The parts of the worker that the routes of a dialect use. */
export interface FamilyParts {
  readonly config: Config;
  readonly admission: Admission;
  readonly metrics: Pick<Metrics, 'failed'>;
  /** Undefined until the model is loaded. */
  readonly model: () => LoadedModel | undefined;
}

/** The handlers of a family by operation id. */
export type FamilyHandlers<Id extends string> = Readonly<Record<Id, Handler['handle']>>;

/**
 * Returns a function that makes the handler of a route.
 * @param load imports the family and makes its handlers
 * @param formatError writes the errors of the family; part of the start, because a request can be refused
 *   before the family is loaded
 */
export function lazyFamily<Id extends string>(
  load: () => Promise<FamilyHandlers<Id>>,
  formatError: ErrorFormatter,
): (id: Id) => Handler {
  let loaded: Promise<FamilyHandlers<Id>> | undefined;
  return (id) => ({
    handle: async (request: FastifyRequest, reply: FastifyReply) => {
      loaded ??= load().catch((error: unknown) => {
        // Without a free file descriptor, for example: the next request tries again.
        loaded = undefined;
        throw unloadable(error);
      });
      const handlers = await loaded;
      return handlers[id](request, reply);
    },
    formatError,
  });
}

/** The error of a family whose files are not there: an update has replaced them while the worker runs. */
function unloadable(cause: unknown): unknown {
  const { code } = (cause ?? {}) as { readonly code?: unknown };
  if (code !== 'ENOENT' && code !== 'MODULE_NOT_FOUND' && code !== 'ERR_MODULE_NOT_FOUND') return cause;
  narrate('worker.fault', { error_kind: 'files_replaced', reason: String(cause) });
  const message = 'The files of the worker were replaced after its start. Restart the worker to use this route.';
  return new WorkerError('WORKER_UNHEALTHY', message);
}
