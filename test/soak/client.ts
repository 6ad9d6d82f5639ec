/**
 * A client that does what its plan says, over HTTP, and writes down what it was given: nothing is judged here.
 */
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectNarrow } from '../../bench/narrow-socket.mjs';
import { JOBS, type Plan, type Visit } from './plans.ts';

/** A stream in which nothing happens for so long is stuck: far longer than any drain, stall or restart. */
const STUCK_MS = 60_000;

/** One event as it came over the wire, without the empty line that ends it. */
export type Frame = string;

/** How one visit went. */
export interface Went {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly frames: Frame[];
  /** `ended`: the worker closed the stream whole; `left`: the client did; `broken`: the connection was cut. */
  readonly how: 'ended' | 'left' | 'broken' | 'stuck';
  /** The answer's text where it is no stream. */
  readonly text: string;
}

/** What one client saw. */
export interface Account {
  readonly plan: Plan;
  readonly jobId: string;
  readonly correlationId: string;
  /** Absent where nobody listened any more. */
  readonly visits: readonly (Went | undefined)[];
  /** The whole stream read again from its first event, after all visits; absent where there was none to read. */
  readonly replay: Went | undefined;
  readonly cancel: number | undefined;
}

interface Call {
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
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

  constructor(url: string) {
    this.#port = Number(new URL(url).port);
  }

  /** Closes connections that are kept alive. */
  close(): void {
    this.#agent.destroy();
  }

  /** Does what `plan` says for a job of its own, whose ids are made of `name`; then reads the whole stream again. */
  async perform(plan: Plan, name: string): Promise<Account> {
    const [jobId, correlationId] = [`job-${name}`, `req-${name}`];
    const visits: (Went | undefined)[] = [];
    let seen = 0;
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
      const call: Call = first ? this.#post(plan, jobId, correlationId) : comeBack(jobId, seen - 1);
      const went = await this.call({ ...call, visit, narrow: plan.narrow, onEvents });
      visits.push(went);
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

  /** One request. Resolves with what came, in whatever way it ended; undefined: nobody listens. */
  call(call: Call): Promise<Went | undefined> {
    const body = call.body && JSON.stringify(call.body);
    const headers = {
      ...(body !== undefined && {
        'Content-Type': 'application/json',
        'Content-Length': String(Buffer.byteLength(body)),
      }),
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
        // A narrow socket is made paused.
        request.once('socket', (socket) => socket.resume());
        request.once('error', () => resolve(undefined));
        request.setTimeout(STUCK_MS, () => {
          resolve({ status: 0, headers: {}, frames: [], how: 'stuck', text: '' });
          request.destroy();
        });
        request.end(body);
      } catch {
        resolve(undefined); // a narrow socket connects at once, or throws
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

const comeBack = (jobId: string, last: number): Call => ({
  method: 'GET',
  path: pathOf(jobId),
  ...(last >= 0 && { headers: { 'Last-Event-ID': String(last) } }),
});

/** Reads an answer as its visit says. */
function follow(request: http.ClientRequest, response: http.IncomingMessage, call: Call): Promise<Went> {
  const {
    leaveAfter = Number.POSITIVE_INFINITY,
    stallAfter = Number.POSITIVE_INFINITY,
    stallMs = 0,
  } = call.visit ?? {};
  const streams =
    response.statusCode === 200 && String(response.headers['content-type']).startsWith('text/event-stream');
  const frames: Frame[] = [];
  let rest = '';
  let stalled = false;
  return new Promise((resolve) => {
    const settle = (how: Went['how']): void => {
      const text = streams ? '' : rest;
      resolve({ status: response.statusCode ?? 0, headers: response.headers, frames, how, text });
    };
    response.setEncoding('utf8').on('data', (chunk: string) => {
      rest += chunk;
      if (!streams) return;
      const parts = rest.split('\n\n');
      rest = parts.pop() ?? '';
      frames.push(...parts.filter((part) => !part.startsWith(':')));
      if (frames.length >= leaveAfter) {
        frames.length = leaveAfter; // what came beside it is as good as unread
        settle('left');
        request.destroy();
      } else if (frames.length >= stallAfter && !stalled) {
        stalled = true;
        response.pause();
        setTimeout(() => response.resume(), stallMs);
      }
      call.onEvents?.(frames.length);
    });
    response.once('end', () => settle('ended'));
    response.once('error', () => settle('broken'));
    response.once('close', () => settle(response.complete ? 'ended' : 'broken'));
  });
}
