/** One real worker and the model of one worker under the same arrivals. */
import { table } from '../measure.mjs';
import { Agenda } from './agenda.ts';
import { quantileOf } from './record.ts';
import type { ServiceTimes } from './service.ts';
import { type Job, SimulatedWorker } from './simulated-worker.ts';

/** A request of the real load, with its measured times in milliseconds. */
interface Measured {
  readonly at: number;
  readonly session: number;
  readonly prompt: number;
  readonly output: number;
  readonly firstToken: number;
  readonly end: number;
  readonly cached: number;
}

/** What bench/fleet-base.mjs writes. `times` were measured on the same worker before and after the load. */
export interface Trace {
  readonly loads: readonly {
    readonly name: string;
    readonly times: ServiceTimes;
    readonly requests: readonly Measured[];
  }[];
}

export function compared({ loads }: Trace): string[] {
  const rows = loads.flatMap(({ name, times, requests }) => {
    const model = predict(times, requests);
    const real = requests.map(({ firstToken, end }) => ({ firstToken, end }));
    return [
      ...[0.5, 0.95].map((q) =>
        row(name, `first token, p${100 * q}, ms`, real, model, (all) =>
          quantileOf(
            all.map((one) => one.firstToken),
            q,
          ),
        ),
      ),
      ...[0.5, 0.95].map((q) =>
        row(name, `whole request, p${100 * q}, ms`, real, model, (all) =>
          quantileOf(
            all.map((one) => one.end),
            q,
          ),
        ),
      ),
      row(name, 'tokens/s', real, model, (all) => rate(requests, all)),
    ];
  });
  return [
    'One worker: the real one and the model, with the same arrivals:',
    table(['load', 'figure', 'real', 'model', 'model / real'], rows),
  ];
}

interface Times {
  readonly firstToken: number;
  readonly end: number;
}

function row(
  name: string,
  label: string,
  real: readonly Times[],
  model: readonly Times[],
  of: (all: readonly Times[]) => number,
): string[] {
  const [measured, predicted] = [of(real), of(model)];
  return [name, label, measured.toFixed(0), predicted.toFixed(0), (predicted / measured).toFixed(2)];
}

/** Tokens of all requests, divided by the time from the first arrival to the last end. */
function rate(requests: readonly Measured[], times: readonly Times[]): number {
  const ends = requests.map(({ at }, index) => at + (times[index]?.end ?? 0));
  const tokens = requests.reduce((sum, { output }) => sum + output, 0);
  return (1000 * tokens) / (Math.max(...ends) - Math.min(...requests.map(({ at }) => at)));
}

function predict(times: ServiceTimes, requests: readonly Measured[]): (Times & { cached: number })[] {
  const agenda = new Agenda();
  const worker = new SimulatedWorker(times, { slots: 16, queue: 1000, stored: 64 });
  const results = new Map<Job, { firstToken: number; end: number; cached: number }>();
  let version = 0;
  const changed = (): void => {
    version += 1;
    const mine = version;
    const at = worker.nextAt();
    if (Number.isFinite(at)) agenda.at(at, (now) => mine === version && step(now));
  };
  const step = (now: number): void => {
    for (const { job, kind } of worker.advance(now)) {
      const result = results.get(job);
      if (!result) continue;
      if (kind === 'token') result.firstToken = now - job.arrived;
      else [result.end, result.cached] = [now - job.arrived, job.cached];
    }
    changed();
  };
  for (const { at, session, prompt, output } of requests) {
    const empty = { done: 0, cached: 0, startedAt: undefined, firstTokenAt: undefined, lostAt: undefined };
    const job: Job = { session, turn: 0, prompt, output, arrived: at, ...empty };
    results.set(job, { firstToken: 0, end: 0, cached: 0 });
    agenda.at(at, (now) => {
      step(now);
      worker.submit(job);
      changed();
    });
  }
  agenda.runUntil(Math.max(...requests.map(({ at }) => at)) + 3_600_000);
  return [...results.values()];
}
