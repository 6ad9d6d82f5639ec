/**
 * Prometheus scrapes real workers as deploy/prometheus says. Every expression of the alerts and of the
 * dashboard reads metrics and labels that the workers have.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { Scrape } from '../../support/scrape.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';
import { hasPrograms } from '../support/programs.ts';
import {
  dashboard,
  dashboardExpressions,
  type Expression,
  expressionsOf,
  Prometheus,
  panels,
  partsOf,
  ruleExpressions,
} from '../support/prometheus.ts';

const EXPRESSIONS = [...ruleExpressions(), ...dashboardExpressions()];
/** Labels that Prometheus adds to every series. */
const ADDED = ['instance', 'job'];

describe.skipIf(!hasPrograms('prometheus'))('Prometheus with two workers', () => {
  let workers: readonly TestWorker[];
  let prometheus: Prometheus;
  beforeAll(async () => {
    workers = await Promise.all([1, 2].map(() => startWorker({ args: ['--slots', '2'] })));
    for (const worker of workers) {
      const job = { prompt: 'The old pond', min_tokens: 60, max_tokens: 60 };
      await Promise.all(['a', 'b', 'c'].map((job_id) => worker.execute({ ...job, job_id })));
      await worker.post('/execute', { job_id: '' });
    }
    prometheus = await Prometheus.start(workers.map(({ url }) => new URL(url).host));
    // Rates need two scrapes.
    await eventually(async () =>
      expect(await prometheus.query('count_over_time(worker_uptime_seconds[1m]) >= 2')).toHaveLength(2),
    );
  });
  afterAll(async () => {
    await prometheus?.stop();
    await Promise.all((workers ?? []).map((worker) => worker.kill()));
  });

  test('the examples have expressions', () => {
    expect(ruleExpressions().length).toBeGreaterThan(6);
    expect(dashboardExpressions().length).toBeGreaterThan(20);
    expect([...panels().open, ...panels().closed].filter(({ targets = [] }) => targets.length === 0)).toEqual([]);
  });

  test.each(EXPRESSIONS)('$place: $text', async (expression: Expression) => {
    await prometheus.query(expression.text);
    const { selectors, labels } = partsOf(expression);
    expect(selectors.length).toBeGreaterThan(0);
    const known = new Set(ADDED);
    for (const { name, matchers } of selectors) {
      const found = await prometheus.query(name + matchers);
      expect([name + matchers, found.length > 0]).toEqual([name + matchers, true]);
      for (const { metric } of found) for (const label of Object.keys(metric)) known.add(label);
    }
    expect(labels.filter((label) => !known.has(label))).toEqual([]);
  });

  test.each(dashboardExpressions())('the panel $place shows a value: $text', async ({ text }) => {
    expect(await prometheus.query(text)).not.toHaveLength(0);
  });

  test.each(expressionsOf(panels().open))('the panel $place has no line for each worker: $text', async ({ text }) => {
    const lines = await prometheus.query(text);
    if (!text.startsWith('topk(10, ')) expect(lines.filter(({ metric }) => 'instance' in metric)).toEqual([]);
  });

  test('the variable of the dashboard lists the workers', async () => {
    const variable = dashboard().templating.list.find(({ name }) => name === 'instance');
    const [, name = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(variable?.definition ?? '') ?? [];
    expect(new Set((await prometheus.query(name)).map(({ metric }) => metric[label])).size).toBe(2);
  });

  test('the query by which KEDA scales has the sum of the queues', async () => {
    const [sum] = await prometheus.query('sum(vllm:num_requests_waiting{model_name="haiku"})');
    expect(sum?.value[1]).toBe('0');
  });

  test('Prometheus has the values of the scrape, also those of the aliases', async () => {
    const [worker] = workers;
    if (!worker) throw new Error('There is no worker.');
    const scrape = await Scrape.of(worker);
    const instance = new URL(worker.url).host;
    for (const name of ['vllm:generation_tokens_total', 'vllm:time_to_first_token_seconds_count']) {
      const [sample] = await prometheus.query(`${name}{instance="${instance}"}`);
      expect([name, Number(sample?.value[1])]).toEqual([name, scrape.value(name)]);
      expect(sample?.metric).toMatchObject({ model_name: 'haiku', engine: '0' });
    }
  });

  test('all alerts are evaluated, and none fires until an engine is lost', async () => {
    const names = ruleExpressions().map(({ place }) => place);
    await eventually(async () => {
      const rules = await prometheus.rules();
      expect(rules.map(({ name, health }) => [name, health])).toEqual(names.map((name) => [name, 'ok']));
    });
    expect((await prometheus.rules()).filter(({ state }) => state !== 'inactive')).toEqual([]);
    const [worker] = workers;
    if (!worker) throw new Error('There is no worker.');
    process.kill(enginePid(worker), 'SIGKILL');
    await worker.line('engine.restarted');
    await eventually(async () => {
      const firing = (await prometheus.rules()).filter(({ state }) => state === 'firing');
      expect(firing.map(({ name }) => name)).toEqual(['RbeesEngineLost']);
    });
  });
});
