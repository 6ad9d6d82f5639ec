/**
 * The refusals of the server: each is counted in the metrics, and each kind is narrated at most every ten
 * seconds, with its full number.
 */
import type { FastifyRequest } from 'fastify';
import { narrate } from '../../narration/narrate.ts';
import { ThrottledCount } from '../../narration/throttle.ts';
import type { HttpRefusal } from '../../telemetry/counts.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { clientAddress } from './address.ts';

/** The refused requests of one kind: their number, and the client of the last one. */
class RefusedRequests {
  readonly reason: HttpRefusal;
  readonly #count: ThrottledCount;
  #lastClient = '';

  constructor(reason: HttpRefusal, event: 'auth.refused' | 'origin.refused') {
    this.reason = reason;
    this.#count = new ThrottledCount((requests_refused) =>
      narrate(event, { requests_refused, client_address: this.#lastClient }),
    );
  }

  add(client: string): void {
    this.#lastClient = client;
    this.#count.add();
  }

  flush(): void {
    this.#count.flush();
  }
}

export class Refusals {
  readonly #metrics: Pick<Metrics, 'refused'>;
  readonly #connectionsLimit: number;
  readonly #requests = {
    UNAUTHORIZED: new RefusedRequests('unauthorized', 'auth.refused'),
    FORBIDDEN_ORIGIN: new RefusedRequests('forbidden_origin', 'origin.refused'),
  };
  /** Connections since the last report. */
  #connections = { refused: 0, evicted: 0 };
  readonly #connectionReport = new ThrottledCount(() => this.#reportConnections());

  /** @param connectionsLimit the value of `--max-connections` */
  constructor(metrics: Pick<Metrics, 'refused'>, connectionsLimit: number) {
    this.#metrics = metrics;
    this.#connectionsLimit = connectionsLimit;
  }

  /** Counts a request that is answered with 401 or 403. */
  request(code: 'UNAUTHORIZED' | 'FORBIDDEN_ORIGIN', { raw }: FastifyRequest): void {
    const refused = this.#requests[code];
    this.#metrics.refused(refused.reason);
    refused.add(clientAddress(raw.socket));
  }

  /** Counts a new connection that was refused, or an older one that was closed for a new one. */
  connection(kind: 'refused' | 'evicted'): void {
    this.#connections[kind] += 1;
    this.#metrics.refused(`connection_${kind}`);
    this.#connectionReport.add();
  }

  /** Narrates everything that is not yet narrated. */
  flush(): void {
    for (const refused of Object.values(this.#requests)) refused.flush();
    this.#connectionReport.flush();
  }

  #reportConnections(): void {
    const { refused, evicted } = this.#connections;
    this.#connections = { refused: 0, evicted: 0 };
    narrate('connections.refused', {
      connections: refused,
      connections_evicted: evicted,
      connections_limit: this.#connectionsLimit,
    });
  }
}
