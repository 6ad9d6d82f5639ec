/** The simulated fleet (bench/fleet): equal runs, no lost request, the laws of queues, and the effects of its policies. */
import { expect, test } from 'vitest';
import { closedLoop, OVER_HTTP } from '../../bench/fleet/closed-loop.ts';
import { quantileOf, type RunFigures } from '../../bench/fleet/figures.ts';
import { hitRate, planOf, run } from '../../bench/fleet/plans.ts';
import { leastOwn, leastSampled, type Policy, prefixAffinity, roundRobin } from '../../bench/fleet/policies.ts';
import { MEASURED, promptMs, type ServiceTimes, stepMs } from '../../bench/fleet/service.ts';
import { type Plan, simulate } from '../../bench/fleet/simulation.ts';
import { CALLBACK, storm } from '../../bench/fleet/storm.ts';
import { SETTINGS } from '../../src/config/settings.ts';
import { CALLBACK_TIMES } from '../../src/lifecycle/callback/ready-callback.ts';

const small = (policy: Policy, more: object = {}): RunFigures =>
  run({ workers: 10, policy, load: 0.25, countedMs: 400_000, ...more });
const summary = (record: RunFigures): unknown => [record.total, record.tokens, record.firstTokens];

test('equal seeds give equal runs, and other seeds other ones', () => {
  const [one, same, other] = [575, 575, 576].map((seed) => summary(small(prefixAffinity(16), { seed })));
  expect(same).toEqual(one);
  expect(other).not.toEqual(one);
});

const LOSS = { at: 100_000, share: 0.3, probeMs: 730, streamMs: 10_000, replacedMs: 60_000 };

test.each([
  ['a normal load', {}],
  ['more load than the workers can serve', { load: 3 }],
  ['a loss of workers', { loss: LOSS }],
])('%s: every request ends, is refused, or is still in the fleet', (_, more) => {
  for (const policy of [roundRobin, leastSampled(1000), prefixAffinity(16)]) {
    const { total, inside } = small(policy, more);
    expect(total.arrived).toBe(total.ended + total.refused + inside);
    expect(total.ended).toBeGreaterThan(500);
  }
});

test('too much load is refused, and a normal load is not', () => {
  expect(small(leastOwn).counted.refused).toBe(0);
  expect(small(leastOwn, { load: 3 }).counted.refused).toBeGreaterThan(100);
});

test("Little's law: mean number in the fleet = rate × mean time there", () => {
  const record = small(leastOwn, { countedMs: 2_000_000 });
  const expected = (record.requestsPerSecond * record.meanStay) / 1000;
  expect(record.meanInside / expected).toBeGreaterThan(0.97);
  expect(record.meanInside / expected).toBeLessThan(1.03);
});

/** Probability that a request waits in the queue M/M/c, and its mean wait in units of the service time. */
function erlangC(servers: number, offered: number): { waits: number; meanWait: number } {
  let [term, sum] = [1, 1];
  for (let count = 1; count < servers; count += 1) {
    term *= offered / count;
    sum += term;
  }
  const last = ((term * offered) / servers) * (servers / (servers - offered));
  const waits = last / (sum + last);
  return { waits, meanWait: waits / (servers - offered) };
}

test.each([1, 4])('one worker with %d slots and constant steps is the queue M/M/c', (slots) => {
  const times: ServiceTimes = { ...MEASURED, step: 10, row: 0, context: 0, prompt: 0, promptContext: 0, request: 0 };
  const service = 10 * 200;
  const plan: Plan = {
    ...planOf({ workers: 1, policy: roundRobin, load: (0.7 * slots * 1000) / service, countedMs: 0 }),
    times,
    limits: { slots, queue: 1e6, stored: 0 },
    workload: {
      turns: 1,
      sessionsPerWorker: (0.7 * slots * 1000) / service,
      thinkMs: 0,
      instructions: 0,
      question: 4,
      answer: 200,
    },
    endMs: 40_000_000 / slots,
  };
  const record = simulate(plan);
  // The first token comes with the prompt, without time: its delay is the wait for a slot.
  const delays = record.firstTokens.map(({ delay }) => delay);
  const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
  const { waits, meanWait } = erlangC(slots, 0.7 * slots);
  expect(delays.filter((delay) => delay > 1e-3).length / delays.length / waits).toBeCloseTo(1, 1);
  expect(mean / (meanWait * service)).toBeGreaterThan(0.9);
  expect(mean / (meanWait * service)).toBeLessThan(1.1);
});

test('the service times are those of docs/benchmarks.md, within 20 %', () => {
  const perSecond = (rows: number, context: number): number => (1000 * rows) / stepMs(MEASURED, rows, rows * context);
  const measured = [
    [1, 128, 113],
    [2, 128, 170],
    [4, 128, 224],
    [8, 128, 257],
    [16, 128, 287],
    [1, 512, 82],
    [2, 512, 118],
    [4, 512, 142],
    [8, 512, 161],
    [16, 512, 170],
    [1, 2048, 40],
    [4, 2048, 58],
    [16, 2048, 63],
    [2, 2048, 53],
    [8, 2048, 61],
  ] as const;
  const wrong = measured.filter(([rows, context, rate]) => Math.abs(perSecond(rows, context) / rate - 1) > 0.2);
  expect(wrong).toEqual([]);
  expect(promptMs(MEASURED, 1032, 0) / 2253).toBeCloseTo(1, 1);
  expect(promptMs(MEASURED, 1032, 1000) / 96).toBeCloseTo(1, 1);
});

test.each(OVER_HTTP)(
  'one worker under $clients clients: tokens/s and p95 are the measured ones, within 10 %',
  (one) => {
    const { rate, firstTokens } = closedLoop(one.clients, one.requests);
    expect(firstTokens).toHaveLength(one.requests);
    expect(Math.abs(rate / one.rate - 1)).toBeLessThan(0.1);
    expect(Math.abs(quantileOf(firstTokens, 0.95) / one.p95 - 1)).toBeLessThan(0.1);
  },
);

test('sessions that stay on their worker find their beginnings, and get their first tokens earlier', () => {
  const [alternating, least, staying] = [roundRobin, leastOwn, prefixAffinity(16)].map((policy) => small(policy));
  if (!alternating || !least || !staying) throw new Error('A run is missing.');
  expect(hitRate(staying)).toBeGreaterThan(hitRate(least) + 0.3);
  expect(staying.firstToken(0.95)).toBeLessThan(0.6 * least.firstToken(0.95));
  expect(least.firstToken(0.95)).toBeLessThan(alternating.firstToken(0.95));
});

test('samples of the load that are old are worse than fresh ones', () => {
  const [fresh, old] = [leastSampled(50), leastSampled(10_000)].map((policy) =>
    small(policy, { countedMs: 1_000_000 }),
  );
  expect(old?.firstToken(0.95)).toBeGreaterThan(1.3 * (fresh?.firstToken(0.95) ?? 0));
});

test('the requests of lost workers go on elsewhere, after the time in which the loss is noticed', () => {
  const { counted, silences } = small(leastOwn, { workers: 100, loss: LOSS, countedMs: 200_000 });
  expect(counted.lost).toBeGreaterThan(0);
  expect(counted.refused).toBe(0);
  expect(silences.length).toBeGreaterThan(0);
  expect(quantileOf(silences, 0)).toBeGreaterThanOrEqual(LOSS.streamMs);
});

test('the storm of callbacks has the times of the worker', () => {
  expect(CALLBACK).toEqual({ ...CALLBACK_TIMES, giveUpMs: 1000 * Number(SETTINGS['callback-give-up'].fallback) });
});

test('a storm: a fast receiver answers each worker once, and a slow one makes them call again', () => {
  const base = { seed: 1, workers: 1000, awayMs: 0 };
  const fast = storm({ ...base, rate: 2000 });
  expect(fast).toMatchObject({ attempts: 1000, late: 0, accepted: 1000, gaveUp: 0 });
  const slow = storm({ ...base, rate: 50 });
  expect(slow.accepted + slow.gaveUp).toBe(1000);
  expect(slow.attempts).toBe(slow.accepted + slow.late + slow.refused);
  expect(slow.late).toBeGreaterThan(500);
});
