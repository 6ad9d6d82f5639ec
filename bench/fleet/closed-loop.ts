/**
 * One worker without a fleet, and the load table of docs/benchmarks.md ("The worker over HTTP") as the model
 * predicts it: clients that send their next request when their last one has ended. The model was not fitted
 * to that table.
 */
import { table } from '../measure.mjs';
import { Agenda } from './agenda.ts';
import { quantileOf } from './figures.ts';
import { MEASURED, type ServiceTimes } from './service.ts';
import { type Happening, type Job, newJob, SimulatedWorker } from './simulated-worker.ts';

const [PROMPT, OUTPUT] = [32, 64];
/** Slots, and rows for stored prefixes, of a worker with its defaults. */
const DEFAULTS = { slots: 16, stored: 64 };
/**
 * Measured: clients, requests, tokens/s in total, and p50 and p95 of the time to first token in milliseconds.
 */
export const OVER_HTTP = [
  { clients: 1, requests: 3, rate: 107.7, p50: 65, p95: 68 },
  { clients: 4, requests: 12, rate: 180.2, p50: 266, p95: 268 },
  { clients: 16, requests: 32, rate: 240.8, p50: 459, p95: 1089 },
  { clients: 64, requests: 64, rate: 242.3, p50: 6973, p95: 13674 },
] as const;

/** A worker that refuses nothing, and its clock. */
export class LoneWorker {
  readonly #agenda = new Agenda();
  readonly #worker: SimulatedWorker;
  readonly #happened: (happening: Happening, now: number) => void;
  #version = 0;

  /** @param happened is called for each first token and each end, and may call `submit` */
  constructor(times: ServiceTimes, happened: (happening: Happening, now: number) => void) {
    this.#worker = new SimulatedWorker(times, { ...DEFAULTS, queue: Number.POSITIVE_INFINITY });
    this.#happened = happened;
  }

  /** Sends a job at the time at which it arrives. */
  submit(job: Job): void {
    this.#agenda.at(job.arrived, (now) => {
      this.#advance(now);
      this.#worker.submit(job);
      this.#changed();
    });
  }

  /** Runs until all jobs have ended. */
  run(): void {
    this.#agenda.runUntil(Number.MAX_VALUE);
  }

  #advance(now: number): void {
    for (const happening of this.#worker.advance(now)) this.#happened(happening, now);
  }

  /** The next change of the worker has another time. */
  #changed(): void {
    this.#version += 1;
    const version = this.#version;
    const at = this.#worker.nextAt();
    if (!Number.isFinite(at)) return;
    this.#agenda.at(at, (now) => {
      if (version !== this.#version) return;
      this.#advance(now);
      this.#changed();
    });
  }
}

/** Tokens per second in total and times to first token. */
export function closedLoop(clients: number, requests: number): { rate: number; firstTokens: number[] } {
  const firstTokens: number[] = [];
  let [sent, lastEnd] = [0, 0];
  const send = (now: number): void => {
    if (sent === requests) return;
    sent += 1;
    worker.submit(newJob({ session: sent, prompt: PROMPT, output: OUTPUT, arrived: now }));
  };
  const worker = new LoneWorker(MEASURED, ({ job, kind }, now) => {
    if (kind === 'token') firstTokens.push(now - job.arrived);
    else {
      lastEnd = now;
      send(now);
    }
  });
  for (let client = 0; client < clients; client += 1) send(0);
  worker.run();
  return { rate: (1000 * requests * OUTPUT) / lastEnd, firstTokens };
}

/** Measured and predicted figures of each number of clients. */
export function closedLoopTable(): string {
  const cell = (real: number, model: number): string =>
    `${real.toFixed(0)} / ${model.toFixed(0)} / ${(model / real).toFixed(2)}`;
  const rows = OVER_HTTP.map(({ clients, requests, rate, p50, p95 }) => {
    const model = closedLoop(clients, requests);
    return [
      String(clients),
      cell(rate, model.rate),
      cell(p50, quantileOf(model.firstTokens, 0.5)),
      cell(p95, quantileOf(model.firstTokens, 0.95)),
    ];
  });
  return table(['clients', 'tokens/s', 'first token p50, ms', 'first token p95, ms'], rows);
}
