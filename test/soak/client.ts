/** A client that follows its plan over HTTP and records what it receives. judge.ts judges the record. */
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectNarrow } from '../../bench/narrow-socket.mjs';
import { readMessages, type SseMessage } from '../../src/client/client.ts';
import { JOBS, type Plan, type Visit } from './plans.ts';

/** A stream without any event for this long is stuck: a drain, a stall or a restart is far shorter. */
const STUCK_MS = 60_000;

/** The outcome of one visit. */
export interface Went {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly messages: SseMessage[];
  /**
   * `ended`: the worker closed the complete stream. `left`: the client closed it. `broken`: the connection
   * was cut. `stuck`: no event arrived for a minute.
   */
  readonly how: 'ended' | 'left' | 'broken' | 'stuck';
  /** The body of an answer that is not a stream. */
  readonly text: string;
}

/** The record of one client. */
export interface Account {
  readonly plan: Plan;
  readonly jobId: string;
  readonly correlationId: string;
  /** Undefined for a visit that could not connect: the worker no longer listened. */
  readonly visits: readonly (Went | undefined)[];
  /** The whole stream, read again from its first event after all visits; undefined if there was none. */
  readonly replay: Went | undefined;
  readonly cancel: number | undefined;
}

export interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: object;
  readonly visit?: Visit;
  readonly narrow?: boolean;
  /** Called with the number of events so far. */
  readonly onEvents?: (count: number) => void;
}

export class Client {
  readonly #port: number;
  readonly #authorization: Readonly<Record<string, string>>;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

  /** @param token the token of the worker, for every request */
  constructor(url: string, token?: string) {
    this.#port = Number(new URL(url).port);
    this.#authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  }

  /** Closes connections that are kept alive. */
  close(): void {
    this.#agent.destroy();
  }

  /** Follows `plan` with a job of its own, whose ids contain `name`; then reads the whole stream again. */
  async perform(plan: Plan, name: string): Promise<Account> {
    const [jobId, correlationId] = [`job-${name}`, `req-${name}`];
    const visits: (Went | undefined)[] = [];
    let seen = 0;
    let last: string | undefined;
    let cancel: Promise<Went | undefined> | undefined;
    for (const visit of plan.visits) {
      await sleep(visit.awayMs);
      const before = seen;
      const onEvents = (count: number): void => {
        seen = before + count;
        if (plan.cancelAfter === undefined || seen < plan.cancelAfter) return;
        cancel ??= this.call({ method: 'POST', path: '/cancel', body: { job_id: jobId } });
      };
      const first = visits.length === 0;
      const call: Call = first ? this.#post(plan, jobId, correlationId) : returnTo(jobId, last);
      const went = await this.call({ ...call, visit, narrow: plan.narrow, onEvents });
      visits.push(went);
      last = went?.messages.at(-1)?.id ?? last;
      if (went?.status !== 200) break;
    }
    const begun = visits[0]?.status === 200;
    const replay = begun ? await this.call({ method: 'GET', path: pathOf(jobId) }) : undefined;
    return { plan, jobId, correlationId, visits, replay, cancel: (await cancel)?.status };
  }

  #post(plan: Plan, jobId: string, correlationId: string): Call {
    const headers = { 'X-Correlation-Id': correlationId };
    return { method: 'POST', path: '/execute', headers, body: bodyOf(plan, jobId) };
  }

  /** One request. Resolves with its outcome, however it ended; undefined if the worker does not listen. */
  call(call: Call): Promise<Went | undefined> {
    const body = call.body && JSON.stringify(call.body);
    const headers = {
      ...(body !== undefined && {
        'Content-Type': 'application/json',
        'Content-Length': String(Buffer.byteLength(body)),
      }),
      ...this.#authorization,
      ...call.headers,
    };
    const { method, path } = call;
    const options: http.RequestOptions = { host: '127.0.0.1', port: this.#port, method, path, headers };
    return new Promise((resolve) => {
      try {
        const request = http.request(
          call.narrow
            ? { ...options, createConnection: () => connectNarrow(this.#port) }
            : { ...options, agent: this.#agent },
          (response) => void follow(request, response, call).then(resolve),
        );
        // A narrow socket starts paused.
        request.once('socket', (socket) => socket.resume());
        request.once('error', () => resolve(undefined));
        request.setTimeout(STUCK_MS, () => {
          resolve({ status: 0, headers: {}, messages: [], how: 'stuck', text: '' });
          request.destroy();
        });
        request.end(body);
      } catch {
        resolve(undefined); // a narrow socket connects synchronously, or throws
      }
    });
  }
}

/** The body of a plan's request. */
const bodyOf = (plan: Plan, jobId: string): object => ({
  job_id: jobId,
  ...JOBS[plan.job],
  on_disconnect: plan.onDisconnect,
  ...(plan.timeoutMs !== undefined && { timeout_ms: plan.timeoutMs }),
});

const pathOf = (jobId: string): string => `/jobs/${jobId}/events`;

/** Resumes after the event with the id `last`; undefined: from the first event. */
const returnTo = (jobId: string, last: string | undefined): Call => ({
  method: 'GET',
  path: pathOf(jobId),
  ...(last !== undefined && { headers: { 'Last-Event-ID': last } }),
});

/** Reads an answer by the plan of its visit. */
async function follow(request: http.ClientRequest, response: http.IncomingMessage, call: Call): Promise<Went> {
  const streams =
    response.statusCode === 200 && String(response.headers['content-type']).startsWith('text/event-stream');
  const messages: SseMessage[] = [];
  let text = '';
  let how: Went['how'] = 'broken';
  try {
    if (streams) how = await readStream(response, call, messages);
    else for await (const chunk of response.setEncoding('utf8')) text += chunk;
    if (how !== 'left' && response.complete) how = 'ended';
  } catch {
    // The connection was cut.
  }
  request.destroy();
  return { status: response.statusCode ?? 0, headers: response.headers, messages, how, text };
}

/**
 * Reads events until the stream or the visit ends. During a stall nothing is read, so the buffers on the way
 * fill up.
 */
async function readStream(response: http.IncomingMessage, call: Call, messages: SseMessage[]): Promise<Went['how']> {
  const { leaveAfter, stallAfter, stallMs } = call.visit ?? {};
  for await (const message of readMessages(response)) {
    messages.push(message);
    call.onEvents?.(messages.length);
    if (messages.length === leaveAfter) return 'left';
    if (messages.length === stallAfter) await sleep(stallMs);
  }
  return 'broken';
}
