/** One real worker and the model of one worker under the same arrivals. */
import { table } from '../measure.mjs';
import { LoneWorker } from './closed-loop.ts';
import { quantileOf } from './figures.ts';
import type { ServiceTimes } from './service.ts';
import { type Job, newJob } from './simulated-worker.ts';

/** A request of the real load, with its measured times in milliseconds. */
interface Measured {
  readonly at: number;
  readonly session: number;
  readonly prompt: number;
  readonly output: number;
  readonly firstToken: number;
  readonly end: number;
}

/**
 * The file that bench/fleet-base.mjs writes. `times` were measured on the same worker before and after the
 * load.
 */
export interface Trace {
  readonly loads: readonly {
    readonly name: string;
    readonly times: ServiceTimes;
    readonly requests: readonly Measured[];
  }[];
}

/** A table of the real and the simulated figures of each load. */
export function compared({ loads }: Trace): string[] {
  const rows = loads.flatMap(({ name, times, requests }) => {
    const [real, model] = [requests, predict(times, requests)];
    const quantiles = [
      ['first token', 'firstToken'],
      ['whole request', 'end'],
    ] as const;
    return [
      ...quantiles.flatMap(([what, field]) =>
        [0.5, 0.95].map((q) => {
          const of = (all: readonly Times[]) =>
            quantileOf(
              all.map((one) => one[field]),
              q,
            );
          return row(name, `${what}, p${100 * q}, ms`, of(real), of(model));
        }),
      ),
      row(name, 'tokens/s', rate(requests, real), rate(requests, model)),
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

const row = (name: string, figure: string, real: number, model: number): string[] => [
  name,
  figure,
  real.toFixed(0),
  model.toFixed(0),
  (model / real).toFixed(2),
];

/** Tokens of all requests, divided by the time from the first arrival to the last end. */
function rate(requests: readonly Measured[], times: readonly Times[]): number {
  const ends = requests.map(({ at }, index) => at + (times[index]?.end ?? 0));
  const tokens = requests.reduce((sum, { output }) => sum + output, 0);
  return (1000 * tokens) / (Math.max(...ends) - Math.min(...requests.map(({ at }) => at)));
}

function predict(times: ServiceTimes, requests: readonly Measured[]): Times[] {
  const results = new Map<Job, { firstToken: number; end: number }>();
  const worker = new LoneWorker(times, ({ job, kind }, now) => {
    const result = results.get(job);
    if (result) result[kind === 'token' ? 'firstToken' : 'end'] = now - job.arrived;
  });
  for (const { at, session, prompt, output } of requests) {
    const job = newJob({ session, prompt, output, arrived: at });
    results.set(job, { firstToken: 0, end: 0 });
    worker.submit(job);
  }
  worker.run();
  return [...results.values()];
}
