/**
 * The load table of docs/benchmarks.md ("The worker over HTTP") as the model predicts it: clients that send their next
 * request when their last one has ended. The model was not fitted to that table.
 */
import { table } from '../measure.mjs';
import { Agenda } from './agenda.ts';
import { quantileOf } from './record.ts';
import { MEASURED } from './service.ts';
import { type Job, SimulatedWorker } from './simulated-worker.ts';

const [PROMPT, OUTPUT] = [32, 64];
/** Measured: clients, requests, tokens/s in total, and p50 and p95 of the time to first token in milliseconds. */
export const OVER_HTTP = [
  { clients: 1, requests: 3, rate: 107.7, p50: 65, p95: 68 },
  { clients: 4, requests: 12, rate: 180.2, p50: 266, p95: 268 },
  { clients: 16, requests: 32, rate: 240.8, p50: 459, p95: 1089 },
  { clients: 64, requests: 64, rate: 242.3, p50: 6973, p95: 13674 },
] as const;

/** Tokens per second in total and times to first token. */
export function closedLoop(clients: number, requests: number): { rate: number; firstTokens: number[] } {
  const agenda = new Agenda();
  const worker = new SimulatedWorker(MEASURED, { slots: 16, queue: clients, stored: 64 });
  const firstTokens: number[] = [];
  let [sent, version, lastEnd] = [0, 0, 0];
  const changed = (): void => {
    version += 1;
    const mine = version;
    const at = worker.nextAt();
    if (Number.isFinite(at)) agenda.at(at, (now) => mine === version && step(now));
  };
  const send = (now: number): void => {
    if (sent === requests) return;
    sent += 1;
    const empty = { done: 0, cached: 0, startedAt: undefined, firstTokenAt: undefined, lostAt: undefined };
    const job: Job = { session: sent, turn: 0, prompt: PROMPT, output: OUTPUT, arrived: now, ...empty };
    worker.submit(job);
  };
  const step = (now: number): void => {
    for (const { job, kind } of worker.advance(now)) {
      if (kind === 'token') firstTokens.push(now - job.arrived);
      else {
        lastEnd = now;
        send(now);
      }
    }
    changed();
  };
  agenda.at(0, (now) => {
    for (let client = 0; client < clients; client += 1) send(now);
    changed();
  });
  agenda.runUntil(3_600_000);
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
  return table(['clients', 'tokens/s: real / model / ratio', 'first token p50, ms', 'first token p95, ms'], rows);
}
